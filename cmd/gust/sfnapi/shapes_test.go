package sfnapi

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
)

// structures are all structures of the operations, by name.
func structures() map[string]reflect.Type {
	all := map[string]reflect.Type{}
	var walk func(reflect.Type)
	walk = func(t reflect.Type) {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(t.Elem())
		case reflect.Struct:
			if t == reflect.TypeFor[time.Time]() || all[t.Name()] != nil {
				return
			}
			all[t.Name()] = t
			for i := range t.NumField() {
				if f := t.Field(i); f.IsExported() && f.Name != "ResultMetadata" {
					walk(f.Type)
				}
			}
		}
	}
	for _, o := range Operations {
		walk(o.in)
		walk(o.out)
	}
	return all
}

// TestShapesAreTheSDKs holds the listing to the SDK's types: an update of the SDK that brings a member must bring its place.
func TestShapesAreTheSDKs(t *testing.T) {
	t.Parallel()
	want := map[string][]string{}
	for name, typ := range structures() {
		want[name] = []string{}
		for i := range typ.NumField() {
			if f := typ.Field(i); f.IsExported() && f.Name != "ResultMetadata" {
				want[name] = append(want[name], f.Name)
			}
		}
		slices.Sort(want[name])
	}
	got := map[string][]string{}
	for name, list := range shapes() {
		got[name] = []string{}
		for _, m := range list {
			got[name] = append(got[name], m.field())
		}
		slices.Sort(got[name])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("shapes.txt is not what the SDK has (-SDK +shapes.txt):\n%s", diff)
	}
}

// TestEveryOperationIsDeclared compares the table with the SDK's client.
func TestEveryOperationIsDeclared(t *testing.T) {
	t.Parallel()
	client := reflect.TypeFor[*sfn.Client]()
	for i := range client.NumMethod() {
		if name := client.Method(i).Name; name != "Options" && Find(name) == nil {
			t.Errorf("%s is not in the table", name)
		}
	}
	if !slices.IsSortedFunc(Operations, func(a, b *Operation) int { return strings.Compare(a.Name(), b.Name()) }) {
		t.Error("the table is not sorted")
	}
}

// TestRequiredIsWhatTheSDKRequires sends empty inputs: the SDK names what they lack and sends nothing.
func TestRequiredIsWhatTheSDKRequires(t *testing.T) {
	t.Parallel()
	client := sfn.New(sfn.Options{Region: "us-east-1", BaseEndpoint: aws.String("http://127.0.0.1:1"), Retryer: aws.NopRetryer{}})
	for _, o := range Operations {
		var want, got []string
		for _, m := range members(o.in) {
			if m.required {
				want = append(want, o.in.Name()+"."+m.field())
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := o.call(ctx, client, reflect.New(o.in).Interface())
		var invalid smithy.InvalidParamsError
		if errors.As(err, &invalid) {
			for _, e := range invalid.Errs() {
				var p interface{ Field() string }
				if errors.As(e, &p) {
					got = append(got, p.Field())
				}
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-shapes.txt +SDK):\n%s", o.Name(), diff)
		}
	}
}

// TestShapesAreBotocores compares the order of members with the model that the AWS CLI uses.
func TestShapesAreBotocores(t *testing.T) {
	t.Parallel()
	python := filepath.Join(os.Getenv("GUST_TEST_TOOLS"), "python", "bin", "python")
	if _, err := os.Stat(python); os.Getenv("GUST_TEST_TOOLS") == "" || err != nil {
		t.Skip("no AWS CLI to compare with: make test installs it")
	}
	out, err := exec.CommandContext(t.Context(), python, "testdata/model.py").Output()
	if err != nil {
		t.Fatal(err)
	}
	var model struct {
		Shapes map[string][]string
		Flags  map[string][]string
		Pages  map[string]string
	}
	if err := json.Unmarshal(out, &model); err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for name, list := range shapes() {
		got[name] = []string{}
		for _, m := range list {
			text := m.name
			if m.required {
				text += "!"
			}
			got[name] = append(got[name], text)
		}
	}
	if diff := cmp.Diff(model.Shapes, got); diff != "" {
		t.Errorf("members (-botocore +shapes.txt):\n%s", diff)
	}
	pages, flags := map[string]string{}, map[string][]string{}
	for _, o := range Operations {
		if o.Items != "" {
			pages[o.Name()] = o.Items
		}
		flags[o.Command()] = []string{}
		for _, m := range members(o.in) {
			flags[o.Command()] = append(flags[o.Command()], "--"+m.flag(o.in))
		}
		slices.Sort(flags[o.Command()])
	}
	if diff := cmp.Diff(model.Pages, pages); diff != "" {
		t.Errorf("listings (-botocore +table):\n%s", diff)
	}
	if diff := cmp.Diff(model.Flags, flags); diff != "" {
		t.Errorf("flags (-AWS CLI +ours):\n%s", diff)
	}
}
