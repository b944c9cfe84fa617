package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Arrivals notes numbered texts ("PHASE CHAT NUMBER") as they come, and what is
// wrong with how they come.
type Arrivals struct {
	mu        sync.Mutex
	phase     string
	at        map[string]map[int]time.Time // chat -> number -> first arrival
	top       map[string]int
	n         int
	last      time.Time
	Doubled   int
	Reordered int
}

// Expect begins a phase: nothing else counts.
func (a *Arrivals) Expect(phase string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.phase, a.n, a.Doubled, a.Reordered = phase, 0, 0, 0
	a.at, a.top, a.last = map[string]map[int]time.Time{}, map[string]int{}, time.Now()
}

// Note takes a text; it says of which chat it is.
func (a *Arrivals) Note(text string, at time.Time) (chat string, ok bool) {
	phase, rest, _ := strings.Cut(text, " ")
	chat, num, _ := strings.Cut(rest, " ")
	var i int
	if _, err := fmt.Sscanf(num, "%d", &i); err != nil {
		return "", false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if phase != a.phase {
		return chat, true
	}
	if a.at[chat] == nil {
		a.at[chat], a.top[chat] = map[int]time.Time{}, -1
	}
	if _, again := a.at[chat][i]; again {
		a.Doubled++
		return chat, true
	}
	a.at[chat][i] = at
	a.n++
	a.last = at
	if i < a.top[chat] {
		a.Reordered++
	} else {
		a.top[chat] = i
	}
	return chat, true
}

// At says when a text came first.
func (a *Arrivals) At(chat string, i int) (time.Time, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, ok := a.at[chat][i]
	return t, ok
}

// Wait waits until n have come; it gives up when none has come for patience.
func (a *Arrivals) Wait(n int, patience time.Duration) (have int, last time.Time) {
	began := time.Now()
	for {
		a.mu.Lock()
		have, last = a.n, a.last
		a.mu.Unlock()
		if have >= n || time.Since(last) > patience && time.Since(began) > patience {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Observer is an application service that is told of all that the bridges'
// ghosts see: how a message's arrival on Matrix is noticed, at the same cost
// for every bridge.
type Observer struct {
	token    string
	srv      *http.Server
	mu       sync.Mutex
	arrivals map[string]*Arrivals         // by prefix of the ghosts
	rooms    map[string]map[string]string // prefix -> chat -> room
	events   map[string]bool
}

const observerRegistration = `id: observer
url: "http://127.0.0.1:%d"
as_token: %s
hs_token: %s
sender_localpart: observer
rate_limited: false
namespaces:
  users:
    - exclusive: false
      regex: "@(%s)_.*:.*"
  aliases: []
  rooms: []
`

func NewObserver(dir string, prefixes []string) (*Observer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o := &Observer{token: randHex(24), arrivals: map[string]*Arrivals{}, rooms: map[string]map[string]string{}, events: map[string]bool{}}
	for _, p := range prefixes {
		o.arrivals[p], o.rooms[p] = &Arrivals{}, map[string]string{}
	}
	reg := fmt.Sprintf(observerRegistration, l.Addr().(*net.TCPAddr).Port, randHex(24), o.token, strings.Join(prefixes, "|"))
	if err := os.WriteFile(filepath.Join(dir, "observer.yaml"), []byte(reg), 0o644); err != nil {
		return nil, err
	}
	o.srv = &http.Server{Handler: o}
	go o.srv.Serve(l)
	return o, nil
}

func (o *Observer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	if !strings.Contains(r.URL.Path, "/transactions/") {
		if strings.Contains(r.URL.Path, "/users/") || strings.Contains(r.URL.Path, "/rooms/") {
			w.WriteHeader(404)
			io.WriteString(w, `{"errcode":"M_NOT_FOUND","error":"no"}`)
			return
		}
		io.WriteString(w, "{}")
		return
	}
	var txn struct {
		Events []struct {
			Type    string `json:"type"`
			ID      string `json:"event_id"`
			Room    string `json:"room_id"`
			Sender  string `json:"sender"`
			Content struct {
				Body string `json:"body"`
			} `json:"content"`
		} `json:"events"`
	}
	if err := json.Unmarshal(body, &txn); err != nil {
		w.WriteHeader(400)
		io.WriteString(w, `{"errcode":"M_NOT_JSON","error":"no"}`)
		return
	}
	o.mu.Lock()
	for _, e := range txn.Events {
		prefix, _, _ := strings.Cut(strings.TrimPrefix(e.Sender, "@"), "_")
		a := o.arrivals[prefix]
		// a transaction that is sent again is no message that was bridged twice
		if a == nil || e.Type != "m.room.message" || o.events[e.ID] {
			continue
		}
		o.events[e.ID] = true
		if chat, ok := a.Note(e.Content.Body, at); ok {
			o.rooms[prefix][chat] = e.Room
		}
	}
	o.mu.Unlock()
	io.WriteString(w, "{}")
}

// Forget drops the ids of events seen so far: between phases.
func (o *Observer) Forget() {
	o.mu.Lock()
	o.events = map[string]bool{}
	o.mu.Unlock()
}

// Rooms gives the rooms of a bridge's chats that were seen.
func (o *Observer) Rooms(prefix string) map[string]string {
	o.mu.Lock()
	defer o.mu.Unlock()
	rooms := map[string]string{}
	for chat, room := range o.rooms[prefix] {
		rooms[chat] = room
	}
	return rooms
}
