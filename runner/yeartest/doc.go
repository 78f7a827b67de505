// Package yeartest plays a year of many DAGs, and compares every run that is made with an oracle that is written from
// Airflow's rules alone: it walks the wall clock minute by minute and knows nothing of package timetable.
//
// GUST_TEST_SEED replays a year, GUST_TEST_FULL=1 plays more and longer ones. A failure names its seed.
package yeartest
