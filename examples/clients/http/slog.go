// Go's log/slog to WindTrap, the standard library alone: go run slog.go
//
// Each record is a request: what is refused is an error of the writer's, which slog does not tell,
// so it is said here.
package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
)

type windTrap struct{ url, token string }

func (w windTrap) Write(event []byte) (int, error) {
	request, err := http.NewRequest("POST", w.url+"/log?time_field=time", bytes.NewReader(event))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+w.token)
	answer, err := http.DefaultClient.Do(request)
	if err == nil {
		defer answer.Body.Close()
		var text []byte
		if text, err = io.ReadAll(answer.Body); err == nil && answer.StatusCode != 200 {
			err = fmt.Errorf("%s: %s", answer.Status, text)
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "not stored: %v: %s", err, event)
		return 0, err
	}
	return len(event), nil
}

func main() {
	url := os.Getenv("WINDTRAP_URL")
	if url == "" {
		url = "http://127.0.0.1:8000"
	}
	log := slog.New(slog.NewJSONHandler(windTrap{url, os.Getenv("WINDTRAP_TOKEN")}, nil)).With("app", "shop")

	log.Info("user alice logged in")
	log.Warn("Grüße, 世界 🚀", slog.Group("order", "id", 42))
	log.Error("cannot charge card", "error", fmt.Errorf("no funds"))
}
