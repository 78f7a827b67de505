package clienttest

import (
	"encoding/json"
	"os/exec"
	"testing"
)

func TestBoto3(t *testing.T) {
	t.Parallel()
	python := tool(t, "python")
	machines, err := json.Marshal(map[string]string{
		"hello": helloWorld, "chain": lambdaChain, "choice": choice, "retry": retry, "catch": catch, "wait": waiting,
		"jsonata": jsonata,
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "testdata/flows.py")
	cmd.Env = append(environ(t, Start(t, functions())), "MACHINES="+string(machines))
	out, err := cmd.CombinedOutput()
	const want = "activity ok\nlanguages ok\nlisting ok\nversions ok\nexpress ok\n"
	if err != nil || string(out) != want {
		t.Errorf("%v\n%s", err, out)
	}
}
