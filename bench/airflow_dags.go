package main

import (
	"fmt"
	"strings"
)

// airflowDAGs are the files of what Airflow is to do, by name; the DAG of a file has its name. flag is the file that the
// sensors wait for.
func airflowDAGs(flag string) map[string]string {
	files := map[string]string{lightFile: lightModule}
	for i, j := range peerJobs {
		task := `BashOperator(task_id=f"s{i}", bash_command="true")`
		if j.light {
			task = `PythonOperator(task_id=f"s{i}", python_callable=light)`
		}
		files[airflowJob(i)+".py"] = airflowDAG(airflowJob(i), j.steps, j.chain, task)
	}
	files["sensors.py"] = airflowDAG("sensors", peerSensors, false, fmt.Sprintf(
		`FileSensor(task_id=f"s{i}", filepath=%q, poke_interval=%.0f, deferrable=True)`, flag, peerPoke.Seconds()))
	files["crash.py"] = airflowDAG("crash", 2, true,
		`BashOperator(task_id=f"s{i}", bash_command="true" if i else "sleep 5", retries=1, retry_delay=timedelta(seconds=1))`)
	return files
}

// airflowJob is the DAG of a job.
func airflowJob(i int) string { return fmt.Sprintf("job%d", i) }

// airflowDAG is a file with a DAG of tasks, each after the one before or all at once.
func airflowDAG(id string, tasks int, chain bool, task string) string {
	var text strings.Builder
	text.WriteString("from datetime import timedelta\n\nfrom airflow.sdk import DAG\n")
	imports := map[string]string{
		"BashOperator":   "from airflow.providers.standard.operators.bash import BashOperator\n",
		"PythonOperator": "from airflow.providers.standard.operators.python import PythonOperator\n\nfrom light import light\n",
		"FileSensor":     "from airflow.providers.standard.sensors.filesystem import FileSensor\n",
	}
	operator, _, _ := strings.Cut(task, "(")
	text.WriteString(imports[operator])
	fmt.Fprintf(&text, "\nwith DAG(%q, schedule=None, max_active_runs=100, max_active_tasks=1000, is_paused_upon_creation=False):\n", id)
	fmt.Fprintf(&text, "    before = None\n    for i in range(%d):\n        task = %s\n", tasks, task)
	if chain {
		text.WriteString("        if before is not None:\n            before >> task\n        before = task\n")
	}
	return text.String()
}
