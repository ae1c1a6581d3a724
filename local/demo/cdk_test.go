package main

import (
	"slices"
	"strings"
	"testing"
)

// The shell may be set up for a proxy, another AWS account or another emulator.
func TestEnvironmentLeadsToTheEmbeddedAWSOnly(t *testing.T) {
	for name, value := range map[string]string{
		"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "intern.example", "no_proxy": "", "AWS_USE_FIPS_ENDPOINT": "true", "AWS_PROFILE": "other",
		"AWS_ENDPOINT_URL": "https://elsewhere", "SERVICES": "sqs", "USE_SSL": "1", "MINE": "kept",
	} {
		t.Setenv(name, value)
	}
	got := append(surroundings(), awsEnvironment("http://127.0.0.1:4566")...)
	for _, want := range []string{
		"NO_PROXY=127.0.0.1,localhost,intern.example", "no_proxy=127.0.0.1,localhost,intern.example", "MINE=kept", "HTTP_PROXY=http://proxy:3128",
		"AWS_ENDPOINT_URL=http://localhost:4566", "AWS_ACCESS_KEY_ID=test",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not in the environment", want)
		}
		name, _, _ := strings.Cut(want, "=")
		if same := slices.DeleteFunc(slices.Clone(got), func(one string) bool { return !strings.HasPrefix(one, name+"=") }); len(same) != 1 {
			t.Errorf("%s is given as %q", name, same)
		}
	}
	for _, setting := range got {
		if name, _, _ := strings.Cut(setting, "="); slices.Contains([]string{"AWS_USE_FIPS_ENDPOINT", "AWS_PROFILE", "SERVICES", "USE_SSL"}, name) {
			t.Errorf("%s is handed on", setting)
		}
	}
}
