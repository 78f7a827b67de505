package examples

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/batch"
	batchtypes "github.com/aws/aws-sdk-go-v2/service/batch/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"gust/connections/awsconn/mototest"
)

// motoConfig: by default moto only pretends to execute state machines, and runs functions and jobs in containers.
const motoConfig = `{"stepfunctions": {"execute_state_machine": true}, "lambda": {"use_docker": false}, "batch": {"use_docker": false}}`

// TestExamplesAgainstMoto runs the same files, unchanged, against another implementation of Step Functions.
func TestExamplesAgainstMoto(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := all[name]
			if e.beyondMoto != "" {
				t.Skip(e.beyondMoto)
			}
			// A server for each example: once moto has run an execution with a Wait state it answers every further
			// StartExecution with status 500 (it copies its running machines and cannot copy their threads).
			endpoint := mototest.Start(t, motoConfig)
			createMachines(t, endpoint)
			if e.prepare != nil {
				e.prepare(t, endpoint)
			}
			connection := fmt.Sprintf(`GUST_CONN_AWS_DEFAULT={"conn_type": "aws", "login": "k", "password": "secret-of-moto", `+
				`"extra": {"region_name": "us-east-1", "endpoint_url": %q}}`, endpoint)
			e.run(t, name, settings(t), []string{connection})
		})
	}
}

func createMachines(t *testing.T, endpoint string) {
	t.Helper()
	client := sfn.New(sfn.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint),
		Credentials: credentials.NewStaticCredentialsProvider("k", "s", ""),
	})
	files, err := filepath.Glob("state_machines/*.asl.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		definition, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".asl.json")
		_, err = client.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{
			Name: aws.String(name), Definition: aws.String(string(definition)),
			RoleArn: aws.String("arn:aws:iam::123456789012:role/any"),
		})
		if err != nil {
			t.Fatalf("create %s: %v", name, err)
		}
	}
}

// createNight creates the function, the queue and the job definition of nightly_batch.
func createNight(t *testing.T, endpoint string) {
	t.Helper()
	mototest.Query(t, endpoint, "iam", url.Values{
		"Action": {"CreateRole"}, "Version": {"2010-05-08"}, "RoleName": {"any"}, "AssumeRolePolicyDocument": {
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`},
	})
	const role = "arn:aws:iam::123456789012:role/any"
	keys := credentials.NewStaticCredentialsProvider("k", "s", "")
	functions := lambda.New(lambda.Options{Region: "us-east-1", BaseEndpoint: aws.String(endpoint), Credentials: keys})
	_, err := functions.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: aws.String("plan-night"), Role: aws.String(role), PackageType: lambdatypes.PackageTypeImage,
		Code: &lambdatypes.FunctionCode{ImageUri: aws.String("123456789012.dkr.ecr.us-east-1.amazonaws.com/plan:latest")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := mototest.Post(endpoint+"/moto-api/static/lambda-simple/response", `{"results": ["{\"input\": \"s3://night/2026-11-20\"}"]}`); err != nil {
		t.Fatal(err)
	}
	jobs := batch.New(batch.Options{Region: "us-east-1", BaseEndpoint: aws.String(endpoint), Credentials: keys})
	machines, err := jobs.CreateComputeEnvironment(t.Context(), &batch.CreateComputeEnvironmentInput{
		ComputeEnvironmentName: aws.String("machines"), Type: batchtypes.CETypeUnmanaged, ServiceRole: aws.String(role),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = jobs.CreateJobQueue(t.Context(), &batch.CreateJobQueueInput{
		JobQueueName: aws.String("night"), Priority: aws.Int32(1), State: batchtypes.JQStateEnabled,
		ComputeEnvironmentOrder: []batchtypes.ComputeEnvironmentOrder{{ComputeEnvironment: machines.ComputeEnvironmentArn, Order: aws.Int32(1)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = jobs.RegisterJobDefinition(t.Context(), &batch.RegisterJobDefinitionInput{
		JobDefinitionName: aws.String("crunch"), Type: batchtypes.JobDefinitionTypeContainer, ContainerProperties: &batchtypes.ContainerProperties{
			Image: aws.String("crunch"), Command: []string{"crunch"},
			Memory: aws.Int32(128), Vcpus: aws.Int32(1), //nolint:staticcheck // moto writes newer requirements as the SDK cannot read them
		},
	})
	if err != nil {
		t.Fatal(err)
	}
}
