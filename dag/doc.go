// Package dag is the pure model of Gust: DAGs, tasks, states, trigger rules, pools and the arithmetic of retries and
// priorities. It performs no I/O, reads no clock and imports only the standard library, so that everything above it
// can be tested without a database, a network or the passage of time.
//
// Names and strings follow Airflow 3: a state printed by Gust is the state an Airflow user knows.
package dag
