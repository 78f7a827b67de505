echo "{{ ds }}"
