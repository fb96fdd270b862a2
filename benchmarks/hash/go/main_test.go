package main

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
)

func get(t *testing.T, target string) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	routes().ServeHTTP(recorder, httptest.NewRequest("GET", target, nil))
	if recorder.Code != 200 {
		t.Fatalf("%s: status %d", target, recorder.Code)
	}
	return recorder.Body.String()
}

func TestInputChangesTheHash(t *testing.T) {
	var first, second answer
	if err := json.Unmarshal([]byte(get(t, "/hash")), &first); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(get(t, "/hash?input=weir")), &second); err != nil {
		t.Fatal(err)
	}
	if first.Hash != second.Hash || len(first.Hash) != 64 || first.Source != "go" {
		t.Fatalf("%+v and %+v", first, second)
	}
	if chain("") == chain("weir") {
		t.Fatal("an empty input is an input")
	}
}

func TestMetricsCountAnswers(t *testing.T) {
	before := requests.buckets[len(bounds)].Load()
	get(t, "/hash")
	if text := get(t, "/metrics"); !strings.Contains(text, `hash_requests_total{source="go"}`) {
		t.Fatal(text)
	}
	if requests.buckets[len(bounds)].Load() != before {
		t.Fatal("an answer took more than a second")
	}
}
