package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestItListensOnThePortsInTheProgramsArguments(t *testing.T) {
	got := ports([]string{
		"registry", "--registry-addr=:5000", "--metrics-addr=0.0.0.0:9090", "--containerd-sock=/run/containerd.sock",
		"--events-addr=http://notification-controller.flux-system.svc.cluster.local.", "--mirror-resolve-timeout=20ms",
	})

	if want := []string{"5000", "9090"}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestItNamesTheProgramThatItStandsInFor(t *testing.T) {
	answer := httptest.NewRecorder()

	server("Spegel", "5000").Handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/readyz", nil))

	if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), "stand-in for Spegel") {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}
