// Package daemontest tests the daemon as its users run it: the built program in a process of its own, over a home
// folder of its own, with signals, kills and other processes around it. It needs Linux, where processes are found in
// /proc.
//
// # Kills
//
// The crash tests kill the daemon at random instants. GUST_TEST_FULL=1 makes them long (100 kills), GUST_TEST_KILLS sets
// the number of kills, GUST_TEST_SEED the seed of the random instants.
//
// # Faults
//
// TestFaults draws faults from a table (faultKinds) and has them happen to a daemon at work: kills at commits and at API
// calls, lost answers, throttling, slow services and names, expired credentials, wrong clocks, full disks, busy databases,
// and people who clear, mark, stop, redrive, and end waits. In the end, and where it is possible after each fault, the
// invariants must hold; they are functions of what the database, the service and a journal of the tasks tell (past), and
// each is shown to see a forged violation.
//
// Three things stand around the daemon:
//
//   - Itself. The test binary is started as the daemon: the program's own assembly, app.StartDaemon, with a store around the
//     database that dies right before or after the n-th commit, or answers it with an error. So the kill hits every commit
//     with certainty, and the program holds no hook that only tests use. It is a process of its own all the same, and
//     kill -9 is kill -9.
//   - A proxy that knows the operations of Step Functions, between the daemon and the service, which lives on in the test's
//     process. It kills the daemon before a request is sent on, before it is answered, or after.
//   - Triggers in the database write down every change of a task's state, in the transaction that makes it.
//
// GUST_TEST_FAULTS sets the number of faults, GUST_TEST_SEED replays a sequence of them. Processes run as fast as they
// like: the same seed draws the same faults as long as it meets the same states.
package daemontest
