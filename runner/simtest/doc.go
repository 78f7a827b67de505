// Package simtest plays random histories of the whole engine in virtual time: the scheduler with its plan, the trigger
// loop, workers, the Step Functions operator, sensor and trigger, all of them the real ones, against a store in memory
// and a model of Step Functions.
//
// A history is a few small pipelines and everything that can go wrong with them: the process dies before a commit, after
// it, between two effects, between the sending of a call and its answer; commits are lost or uncertain; the service
// throttles, loses answers, and tells late what has happened; people clear, mark and end what runs; the clock jumps. One
// random number decides all of it. Nothing in a history runs by itself: each turn of the scheduler and of the loop, each
// call of an operator and each answer is a step, and which of them is next is drawn. After each step the invariants are
// checked (see invariants).
//
// A failure names the seed of its history. GUST_SIM_SEED=<seed> plays that history alone and prints every step;
// GUST_SIM_HISTORIES sets how many are played and GUST_SIM_FIRST the seed of the first, GUST_TEST_FULL=1 plays more of
// them. `make sim` plays a million. With GUST_SIM_INVARIANT=<name> only this invariant counts.
package simtest
