package main

import (
	"encoding/json"
	"log"
	"os"
	"sync"
)

type event map[string]any

// history writes one JSON line an event; several goroutines write.
type history struct {
	mutex  sync.Mutex
	file   *os.File
	client string
}

func openHistory(path, client string) *history {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		log.Fatalf("cannot open the history: %v", err)
	}
	return &history{file: file, client: client}
}

func (h *history) write(e event) {
	e["client"] = h.client
	line, err := json.Marshal(e)
	if err != nil {
		log.Fatalf("an event does not encode: %v", err)
	}
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if _, err := h.file.Write(append(line, '\n')); err != nil {
		log.Fatalf("cannot write the history: %v", err)
	}
}
