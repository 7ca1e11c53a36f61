// json-mock serves Cilium's connectivity test, with the paths of Cilium's image of the same name.
package main

import (
	"encoding/json"
	"log"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	server := &http.Server{Addr: net.JoinHostPort("", port), Handler: handler(), ReadHeaderTimeout: 10 * time.Second}
	log.Printf("listening on %s", server.Addr)
	log.Fatal(server.ListenAndServe())
}

func handler() http.Handler {
	paths := http.NewServeMux()
	paths.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"private": "/private", "public": "/public", "client-ip": "/client-ip"})
	})
	for _, name := range []string{"private", "public"} {
		paths.HandleFunc("/"+name, func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusOK, []map[string]any{{"id": 1, "body": name + " information"}})
		})
	}
	paths.HandleFunc("/client-ip", func(w http.ResponseWriter, r *http.Request) {
		address, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			answer(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
			return
		}
		if ip := net.ParseIP(address); ip != nil {
			address = ip.String() // an IPv4 client of a dual-stack socket
		}
		answer(w, http.StatusOK, map[string]string{"client-ip": address})
	})
	paths.HandleFunc("/auth-header-required", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Very-Secret-Token") == "" {
			answer(w, http.StatusForbidden, map[string]string{"error": "no token"})
			return
		}
		answer(w, http.StatusOK, map[string]string{"body": "authorized"})
	})
	return paths
}

func answer(w http.ResponseWriter, code int, content any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(content); err != nil {
		log.Printf("cannot answer: %v", err)
	}
}
