package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestDescendantsAndTheirTime(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("Linux only")
	}
	child := exec.CommandContext(t.Context(), "sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo; cat; exit 0")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil { // it has computed
		t.Fatal(err)
	}
	all := descendants([]int{os.Getpid()})
	if !slices.Contains(all, child.Process.Pid) || all[0] != os.Getpid() {
		t.Errorf("the processes are %v, want %d and %d among them", all, os.Getpid(), child.Process.Pid)
	}
	if processorTicks([]int{child.Process.Pid}) <= 0 {
		t.Error("it took no time")
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	if gone := descendants([]int{child.Process.Pid}); len(gone) != 0 {
		t.Errorf("an ended process is listed: %v", gone)
	}
}

func TestAirflowFilesImportWhatTheyUse(t *testing.T) {
	t.Parallel()
	files := airflowDAGs("/tmp/flag")
	if len(files) != len(peerJobs)+3 {
		t.Errorf("%d files", len(files))
	}
	for name, text := range files {
		if name == lightFile {
			continue
		}
		for _, word := range []string{"BashOperator", "PythonOperator", "FileSensor", "timedelta", "light"} {
			if strings.Contains(text, word+"(") && !strings.Contains(text, "import "+word) {
				t.Errorf("%s uses %s without an import:\n%s", name, word, text)
			}
		}
		if !strings.Contains(text, `DAG("`+strings.TrimSuffix(name, ".py")+`"`) {
			t.Errorf("%s has no DAG of its name:\n%s", name, text)
		}
	}
}
