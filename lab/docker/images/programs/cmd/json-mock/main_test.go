package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestEachPathAnswersAsTheConnectivityTestExpects(t *testing.T) {
	for _, tc := range []struct {
		path, token string
		code        int
		body        string
	}{
		{"/", "", http.StatusOK, "client-ip"},
		{"/public", "", http.StatusOK, "public information"},
		{"/private", "", http.StatusOK, "private information"},
		{"/client-ip", "", http.StatusOK, `{"client-ip":"192.0.2.1"}`},
		{"/auth-header-required", "", http.StatusForbidden, "no token"},
		{"/auth-header-required", "42", http.StatusOK, "authorized"},
		{"/elsewhere", "", http.StatusNotFound, ""},
	} {
		request := httptest.NewRequest(http.MethodGet, tc.path, nil)
		if tc.token != "" {
			request.Header.Set("X-Very-Secret-Token", tc.token)
		}
		answer := httptest.NewRecorder()

		handler().ServeHTTP(answer, request)

		if answer.Code != tc.code || !strings.Contains(answer.Body.String(), tc.body) {
			t.Errorf("%s: %d %s", tc.path, answer.Code, answer.Body)
		}
	}
}
