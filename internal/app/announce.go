package app

import (
	"os"
	"path/filepath"
	"strings"

	"gust/internal/config"
	"gust/internal/home"
)

// Announce makes a service that is served here the endpoint of aws_default for the commands of a home, while nobody defines
// that connection. When a running daemon or another service is announced already, that one stays, and ok is false. Call
// withdrawn when the service ends.
func Announce(cfg *config.Config, endpoint string) (withdrawn func(), ok bool, err error) {
	dir := cfg.Home()
	if announced(dir) != "" {
		return func() {}, false, nil
	}
	if err := home.Create(dir); err != nil {
		return nil, false, err
	}
	if err := announce(dir, endpoint+"\n"+cfg.StepFunctions.Region); err != nil {
		return nil, false, err
	}
	return func() {
		// A daemon that has started since has announced its own.
		if raw, err := os.ReadFile(filepath.Join(dir, endpointFile)); err == nil && strings.HasPrefix(string(raw), endpoint+"\n") {
			withdraw(dir)
		}
	}, true, nil
}

// announcedRegion is the region of an announced service that has one of its own: the line after its endpoint.
func announcedRegion(dir, endpoint string) string {
	raw, err := os.ReadFile(filepath.Join(dir, endpointFile))
	if err != nil {
		return ""
	}
	first, region, _ := strings.Cut(strings.TrimSpace(string(raw)), "\n")
	if first != endpoint {
		return ""
	}
	return region
}
