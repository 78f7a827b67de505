// Package daemontest tests the daemon as its users run it: the built program in a process of its own, over a home
// folder of its own, with signals, kills and other processes around it. It needs Linux, where processes are found in
// /proc.
//
// GUST_TEST_FULL=1 makes the crash tests long (200 kills), GUST_TEST_KILLS sets the number of kills, GUST_TEST_SEED the
// seed of the random instants.
package daemontest
