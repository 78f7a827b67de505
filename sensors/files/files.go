// Package files holds the sensor that waits for a file.
package files

import (
	"context"
	"fmt"
	"path/filepath"

	"gust/connections"
	"gust/operators"
	"gust/sensors"
	"gust/triggers"
	"gust/triggers/files"
)

// Register adds the sensor to the registry.
func Register(r *operators.Registry, d sensors.Defaults) error {
	return r.Register(operators.Spec{
		Name: "FileSensor",
		Aliases: []string{
			"airflow.sensors.filesystem.FileSensor", "airflow.contrib.sensors.file_sensor.FileSensor",
			"airflow.providers.standard.sensors.filesystem.FileSensor",
		},
		Doc: "Waits until a file exists on the machine that runs the daemon. The path may be a pattern. A folder counts " +
			"when there is a file in it.",
		New:    func() operators.Operator { return sensors.New(&File{}, d) },
		Sensor: true,
	})
}

const defaultConnID = "fs_default"

// File waits for a file (Airflow: FileSensor).
type File struct {
	Filepath  string `param:"filepath" template:"true" required:"true" doc:"The file, folder or pattern (*, ?, [a-z], [!a-z]), absolute or relative to the connection's path."`
	FsConnID  string `param:"fs_conn_id" default:"fs_default" doc:"The connection (type fs) whose extra holds the path that filepath is relative to. fs_default may be undefined: then it is the daemon's working folder."`
	Recursive bool   `param:"recursive" default:"false" doc:"Let ** in filepath stand for any number of folders."`
	StartFrom any    `param:"start_from_trigger" doc:"Accepted for Airflow's sake, without effect: a deferrable sensor starts without a worker anyway."`
	KwArgs    any    `param:"trigger_kwargs" doc:"Accepted for Airflow's sake, without effect."`
	sensors.Base
}

func (s *File) args(ctx context.Context, t operators.Task, pace triggers.Pace) (*files.Args, error) {
	if s.Filepath == "" {
		return nil, operators.Failf("filepath is empty")
	}
	path := s.Filepath
	if !filepath.IsAbs(path) {
		base, err := s.base(ctx, t)
		if err != nil {
			return nil, err
		}
		if path, err = filepath.Abs(filepath.Join(base, path)); err != nil {
			return nil, err
		}
	}
	return &files.Args{Path: path, Recursive: s.Recursive, Pace: pace}, nil
}

func (s *File) base(ctx context.Context, t operators.Task) (string, error) {
	conn, err := t.Connection(ctx, s.FsConnID)
	if connections.IsNotFound(err) && s.FsConnID == defaultConnID {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	extra, err := conn.ExtraMap()
	if err != nil {
		return "", fmt.Errorf("connection %s: %w", s.FsConnID, err)
	}
	path, ok := extra["path"].(string)
	if !ok && extra["path"] != nil {
		return "", fmt.Errorf("connection %s: path in extra is not a text", s.FsConnID)
	}
	return path, nil
}

// Poke looks once.
func (s *File) Poke(ctx context.Context, t operators.Task) (sensors.Verdict, error) {
	a, err := s.args(ctx, t, triggers.Pace{})
	if err != nil {
		return sensors.Verdict{}, err
	}
	t.Log().Info("Poking for file " + a.Path)
	found, err := files.Find(ctx, a)
	if err != nil || found == nil {
		return sensors.Waiting(), err
	}
	t.Log().Info(found.String())
	return sensors.Done(nil), nil
}

// Trigger describes the wait.
func (s *File) Trigger(ctx context.Context, t operators.Task, pace triggers.Pace) (triggers.Trigger, error) {
	a, err := s.args(ctx, t, pace)
	if err != nil {
		return triggers.Trigger{}, err
	}
	return a.Trigger()
}

// Fired ends the wait.
func (s *File) Fired(context.Context, operators.Task, triggers.Event) (sensors.Verdict, error) {
	return sensors.Done(nil), nil
}
