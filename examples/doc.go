// Package examples holds complete pipelines with their state machines; its tests run every one of them.
package examples
