CREATE TABLE machines (
	id INTEGER PRIMARY KEY, arn TEXT NOT NULL UNIQUE, name TEXT NOT NULL, region TEXT NOT NULL, type TEXT NOT NULL,
	status TEXT NOT NULL CHECK (status IN ('ACTIVE','DELETING')), created INTEGER NOT NULL, revision INTEGER NOT NULL,
	tags TEXT NOT NULL
);
CREATE TABLE revisions (
	id INTEGER PRIMARY KEY, machine INTEGER NOT NULL, revision_id TEXT NOT NULL, definition TEXT NOT NULL,
	role_arn TEXT NOT NULL, logging TEXT NOT NULL, tracing TEXT NOT NULL, encryption TEXT NOT NULL,
	updated INTEGER NOT NULL
);
CREATE TABLE executions (
	id INTEGER PRIMARY KEY, arn TEXT NOT NULL UNIQUE, machine INTEGER NOT NULL, machine_arn TEXT NOT NULL,
	machine_name TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL,
	status TEXT NOT NULL CHECK (status IN ('RUNNING','SUCCEEDED','FAILED','TIMED_OUT','ABORTED')),
	started INTEGER NOT NULL, stopped INTEGER, input TEXT NOT NULL, output TEXT, error TEXT, cause TEXT,
	trace_header TEXT, wake INTEGER, tasks INTEGER NOT NULL, last_event INTEGER NOT NULL,
	redrives INTEGER NOT NULL DEFAULT 0, redriven INTEGER, redrive_tokens TEXT, state BLOB,
	CHECK ((status = 'RUNNING') = (stopped IS NULL))
);
CREATE INDEX executions_by_machine ON executions (machine);
CREATE INDEX executions_by_status ON executions (machine, status);
CREATE INDEX executions_open ON executions (wake, tasks) WHERE status = 'RUNNING';
CREATE TABLE history (
	execution INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, events BLOB NOT NULL,
	PRIMARY KEY (execution, first)
) WITHOUT ROWID;
INSERT INTO machines VALUES (1, 'arn:aws:states:us-east-1:123456789012:stateMachine:done', 'done', 'us-east-1', 'STANDARD', 'ACTIVE', 1795836385614, 1, 'null');
INSERT INTO machines VALUES (2, 'arn:aws:states:us-east-1:123456789012:stateMachine:failed', 'failed', 'us-east-1', 'STANDARD', 'ACTIVE', 1795836385617, 2, 'null');
INSERT INTO machines VALUES (3, 'arn:aws:states:us-east-1:123456789012:stateMachine:waiting', 'waiting', 'us-east-1', 'STANDARD', 'ACTIVE', 1795836385629, 3, 'null');
INSERT INTO machines VALUES (4, 'arn:aws:states:us-east-1:123456789012:stateMachine:task', 'task', 'us-east-1', 'STANDARD', 'ACTIVE', 1795836385650, 4, 'null');
INSERT INTO machines VALUES (5, 'arn:aws:states:us-east-1:123456789012:stateMachine:wide', 'wide', 'us-east-1', 'STANDARD', 'ACTIVE', 1795836385665, 5, 'null');
INSERT INTO revisions VALUES (1, 1, '', '{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}', 'arn:aws:iam::123456789012:role/test', '{"level":"OFF","includeExecutionData":false}', '{"enabled":false}', '', 1795836385614);
INSERT INTO revisions VALUES (2, 2, '', '{"StartAt":"T","States":{"T":{"Type":"Wait","Seconds":0,"Next":"F"},"F":{"Type":"Fail","Error":"E","Cause":"C"}}}', 'arn:aws:iam::123456789012:role/test', '{"level":"OFF","includeExecutionData":false}', '{"enabled":false}', '', 1795836385617);
INSERT INTO revisions VALUES (3, 3, '', '{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":1,"Next":"P"},"P":{"Type":"Pass","Assign":{"v.$":"$.n"},"End":true}}}', 'arn:aws:iam::123456789012:role/test', '{"level":"OFF","includeExecutionData":false}', '{"enabled":false}', '', 1795836385629);
INSERT INTO revisions VALUES (4, 4, '', '{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:work",
		"End":true}}}', 'arn:aws:iam::123456789012:role/test', '{"level":"OFF","includeExecutionData":false}', '{"enabled":false}', '', 1795836385650);
INSERT INTO revisions VALUES (5, 5, '', '{"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":1,"End":true}}},{"StartAt":"M","States":{"M":{"Type":"Map","ItemProcessor":{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:work","Retry":[{"ErrorEquals":["States.ALL"]}],"End":true}}},"End":true}}}],"End":true}}}', 'arn:aws:iam::123456789012:role/test', '{"level":"OFF","includeExecutionData":false}', '{"enabled":false}', '', 1795836385665);
INSERT INTO executions VALUES (1, 'arn:aws:states:us-east-1:123456789012:execution:done:e', 1, 'arn:aws:states:us-east-1:123456789012:stateMachine:done', 'done', 'e', 1, 'SUCCEEDED', 1795836385615, 1795836385615, '{"a":1.0}', '{"a":1.0}', NULL, NULL, NULL, NULL, 0, 4, 0, NULL, NULL, NULL);
INSERT INTO executions VALUES (2, 'arn:aws:states:us-east-1:123456789012:execution:failed:e', 2, 'arn:aws:states:us-east-1:123456789012:stateMachine:failed', 'failed', 'e', 2, 'FAILED', 1795836385621, 1795836385621, '{}', NULL, 'E', 'C', NULL, NULL, 0, 5, 0, NULL, NULL, CAST('{"status":"FAILED","error":"E","cause":"C","stop":"2026-11-28T03:26:25.621Z","event":5,"ids":1,"threads":[{"id":1,"state":"F","phase":5,"input":{},"previous":4,"entered":4,"enteredAt":"2026-11-28T03:26:25.621Z"}]}' AS BLOB));
INSERT INTO executions VALUES (3, 'arn:aws:states:us-east-1:123456789012:execution:waiting:e', 3, 'arn:aws:states:us-east-1:123456789012:stateMachine:waiting', 'waiting', 'e', 3, 'RUNNING', 1795836385637, NULL, '{"n":[1,2.50]}', NULL, NULL, NULL, NULL, 1795836386637, 0, 2, 0, NULL, NULL, CAST('{"status":"RUNNING","event":2,"ids":1,"threads":[{"id":1,"state":"W","phase":1,"input":{"n":[1,2.50]},"previous":2,"entered":2,"enteredAt":"2026-11-28T03:26:25.637Z","wake":"2026-11-28T03:26:26.637Z"}]}' AS BLOB));
INSERT INTO executions VALUES (4, 'arn:aws:states:us-east-1:123456789012:execution:task:e', 4, 'arn:aws:states:us-east-1:123456789012:stateMachine:task', 'task', 'e', 4, 'RUNNING', 1795836385661, NULL, '{"b":2}', NULL, NULL, NULL, NULL, NULL, 1, 4, 0, NULL, NULL, CAST('{"status":"RUNNING","event":4,"ids":1,"tasks":1,"threads":[{"id":1,"state":"T","phase":2,"input":{"b":2},"previous":4,"entered":2,"enteredAt":"2026-11-28T03:26:25.661Z","task":1,"taskInput":{"b":2}}]}' AS BLOB));
INSERT INTO executions VALUES (5, 'arn:aws:states:us-east-1:123456789012:execution:wide:e', 5, 'arn:aws:states:us-east-1:123456789012:stateMachine:wide', 'wide', 'e', 5, 'RUNNING', 1795836385666, NULL, '[1,{"x":"y"}]', NULL, NULL, NULL, NULL, 1795836386666, 1, 14, 0, NULL, NULL, CAST('{"status":"RUNNING","event":14,"ids":5,"tasks":2,"threads":[{"id":1,"state":"P","phase":4,"input":[1,{"x":"y"}],"previous":3,"entered":2,"enteredAt":"2026-11-28T03:26:25.666Z","fork":{"results":[null,null],"done":[false,false],"next":2}},{"id":2,"parent":1,"state":"W","phase":1,"input":[1,{"x":"y"}],"previous":4,"entered":4,"enteredAt":"2026-11-28T03:26:25.666Z","wake":"2026-11-28T03:26:26.666Z"},{"id":3,"parent":1,"index":1,"state":"M","phase":4,"input":[1,{"x":"y"}],"previous":6,"entered":5,"enteredAt":"2026-11-28T03:26:25.666Z","fork":{"items":[1,{"x":"y"}],"results":[null,null],"done":[false,false],"next":2,"limit":40}},{"id":4,"parent":3,"state":"T","phase":2,"input":1,"previous":11,"entered":9,"enteredAt":"2026-11-28T03:26:25.666Z","task":1,"taskInput":1},{"id":5,"parent":3,"index":1,"state":"T","phase":2,"input":{"x":"y"},"previous":14,"entered":12,"enteredAt":"2026-11-28T03:26:25.666Z","task":2,"taskInput":{"x":"y"}}]}' AS BLOB));
INSERT INTO history VALUES (1, 1, 4, CAST('{"timestamp":1795836385.615,"type":"ExecutionStarted","id":1,"previousEventId":0,"executionStartedEventDetails":{"input":"{\"a\":1.0}","inputDetails":{"truncated":false},"roleArn":"arn:aws:iam::123456789012:role/test"}}
{"timestamp":1795836385.615,"type":"PassStateEntered","id":2,"previousEventId":0,"stateEnteredEventDetails":{"name":"A","input":"{\"a\":1.0}","inputDetails":{"truncated":false}}}
{"timestamp":1795836385.615,"type":"PassStateExited","id":3,"previousEventId":2,"stateExitedEventDetails":{"name":"A","output":"{\"a\":1.0}","outputDetails":{"truncated":false}}}
{"timestamp":1795836385.615,"type":"ExecutionSucceeded","id":4,"previousEventId":3,"executionSucceededEventDetails":{"output":"{\"a\":1.0}","outputDetails":{"truncated":false}}}
' AS BLOB));
INSERT INTO history VALUES (2, 1, 5, CAST('{"timestamp":1795836385.621,"type":"ExecutionStarted","id":1,"previousEventId":0,"executionStartedEventDetails":{"input":"{}","inputDetails":{"truncated":false},"roleArn":"arn:aws:iam::123456789012:role/test"}}
{"timestamp":1795836385.621,"type":"WaitStateEntered","id":2,"previousEventId":0,"stateEnteredEventDetails":{"name":"T","input":"{}","inputDetails":{"truncated":false}}}
{"timestamp":1795836385.621,"type":"WaitStateExited","id":3,"previousEventId":2,"stateExitedEventDetails":{"name":"T","output":"{}","outputDetails":{"truncated":false}}}
{"timestamp":1795836385.621,"type":"FailStateEntered","id":4,"previousEventId":3,"stateEnteredEventDetails":{"name":"F","input":"{}","inputDetails":{"truncated":false}}}
{"timestamp":1795836385.621,"type":"ExecutionFailed","id":5,"previousEventId":4,"executionFailedEventDetails":{"error":"E","cause":"C"}}
' AS BLOB));
INSERT INTO history VALUES (3, 1, 2, CAST('{"timestamp":1795836385.637,"type":"ExecutionStarted","id":1,"previousEventId":0,"executionStartedEventDetails":{"input":"{\"n\":[1,2.50]}","inputDetails":{"truncated":false},"roleArn":"arn:aws:iam::123456789012:role/test"}}
{"timestamp":1795836385.637,"type":"WaitStateEntered","id":2,"previousEventId":0,"stateEnteredEventDetails":{"name":"W","input":"{\"n\":[1,2.50]}","inputDetails":{"truncated":false}}}
' AS BLOB));
INSERT INTO history VALUES (4, 1, 4, CAST('{"timestamp":1795836385.661,"type":"ExecutionStarted","id":1,"previousEventId":0,"executionStartedEventDetails":{"input":"{\"b\":2}","inputDetails":{"truncated":false},"roleArn":"arn:aws:iam::123456789012:role/test"}}
{"timestamp":1795836385.661,"type":"TaskStateEntered","id":2,"previousEventId":0,"stateEnteredEventDetails":{"name":"T","input":"{\"b\":2}","inputDetails":{"truncated":false}}}
{"timestamp":1795836385.661,"type":"LambdaFunctionScheduled","id":3,"previousEventId":2,"lambdaFunctionScheduledEventDetails":{"resource":"arn:aws:lambda:us-east-1:123456789012:function:work","input":"{\"b\":2}","inputDetails":{"truncated":false}}}
{"timestamp":1795836385.661,"type":"LambdaFunctionStarted","id":4,"previousEventId":3}
' AS BLOB));
INSERT INTO history VALUES (5, 1, 14, CAST('{"timestamp":1795836385.666,"type":"ExecutionStarted","id":1,"previousEventId":0,"executionStartedEventDetails":{"input":"[1,{\"x\":\"y\"}]","inputDetails":{"truncated":false},"roleArn":"arn:aws:iam::123456789012:role/test"}}
{"timestamp":1795836385.666,"type":"ParallelStateEntered","id":2,"previousEventId":0,"stateEnteredEventDetails":{"name":"P","input":"[1,{\"x\":\"y\"}]","inputDetails":{"truncated":false}}}
{"timestamp":1795836385.666,"type":"ParallelStateStarted","id":3,"previousEventId":2}
{"timestamp":1795836385.666,"type":"WaitStateEntered","id":4,"previousEventId":3,"stateEnteredEventDetails":{"name":"W","input":"[1,{\"x\":\"y\"}]","inputDetails":{"truncated":false}}}
{"timestamp":1795836385.666,"type":"MapStateEntered","id":5,"previousEventId":3,"stateEnteredEventDetails":{"name":"M","input":"[1,{\"x\":\"y\"}]","inputDetails":{"truncated":false}}}
{"timestamp":1795836385.666,"type":"MapStateStarted","id":6,"previousEventId":5,"mapStateStartedEventDetails":{"length":2}}
{"timestamp":1795836385.666,"type":"MapIterationStarted","id":7,"previousEventId":6,"mapIterationStartedEventDetails":{"name":"M","index":0}}
{"timestamp":1795836385.666,"type":"MapIterationStarted","id":8,"previousEventId":6,"mapIterationStartedEventDetails":{"name":"M","index":1}}
{"timestamp":1795836385.666,"type":"TaskStateEntered","id":9,"previousEventId":7,"stateEnteredEventDetails":{"name":"T","input":"1","inputDetails":{"truncated":false}}}
{"timestamp":1795836385.666,"type":"LambdaFunctionScheduled","id":10,"previousEventId":9,"lambdaFunctionScheduledEventDetails":{"resource":"arn:aws:lambda:us-east-1:123456789012:function:work","input":"1","inputDetails":{"truncated":false}}}
{"timestamp":1795836385.666,"type":"LambdaFunctionStarted","id":11,"previousEventId":10}
{"timestamp":1795836385.666,"type":"TaskStateEntered","id":12,"previousEventId":8,"stateEnteredEventDetails":{"name":"T","input":"{\"x\":\"y\"}","inputDetails":{"truncated":false}}}
{"timestamp":1795836385.666,"type":"LambdaFunctionScheduled","id":13,"previousEventId":12,"lambdaFunctionScheduledEventDetails":{"resource":"arn:aws:lambda:us-east-1:123456789012:function:work","input":"{\"x\":\"y\"}","inputDetails":{"truncated":false}}}
{"timestamp":1795836385.666,"type":"LambdaFunctionStarted","id":14,"previousEventId":13}
' AS BLOB));
PRAGMA user_version = 1;
