package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"time"
)

// FakeNet is a chat network for one account, which speaks lines of JSON over
// TCP. To the bridge: msg (seq, id, chat, user, ts, text), sent (req, id). From
// it: hello (token), ack (seq), send (req, chat, text, key). What is not
// acknowledged is said again after a hello; the same key is taken once.
type FakeNet struct {
	Addr    string
	OnSend  func(chat, text string, at time.Time)
	l       net.Listener
	mu      sync.Mutex
	conn    net.Conn
	w       *bufio.Writer
	seq     uint64
	unacked []wireMsg
	keys    map[string]string
	hellos  int
}

type wireMsg struct {
	Op   string `json:"op"`
	Seq  uint64 `json:"seq,omitempty"`
	Req  uint64 `json:"req"`
	ID   string `json:"id,omitempty"`
	Chat string `json:"chat,omitempty"`
	User string `json:"user,omitempty"`
	TS   int64  `json:"ts,omitempty"`
	Text string `json:"text,omitempty"`
	Key  string `json:"key,omitempty"`
}

func NewFakeNet() (*FakeNet, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n := &FakeNet{Addr: l.Addr().String(), l: l, keys: map[string]string{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go n.serve(c)
		}
	}()
	return n, nil
}

func (n *FakeNet) Close() { n.l.Close() }

func (n *FakeNet) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewScanner(bufio.NewReaderSize(c, 64<<10))
	for in.Scan() {
		at := time.Now()
		var m wireMsg
		if err := json.Unmarshal(in.Bytes(), &m); err != nil {
			return
		}
		switch m.Op {
		case "hello":
			n.mu.Lock()
			n.conn, n.w = c, bufio.NewWriterSize(c, 64<<10)
			n.hellos++
			for _, m := range n.unacked {
				n.write(m)
			}
			n.w.Flush()
			n.mu.Unlock()
		case "ack":
			n.mu.Lock()
			for len(n.unacked) > 0 && n.unacked[0].Seq <= m.Seq {
				n.unacked = n.unacked[1:]
			}
			n.mu.Unlock()
		case "send":
			n.mu.Lock()
			id, again := n.keys[m.Key]
			if !again {
				id = fmt.Sprintf("o%d", len(n.keys))
				n.keys[m.Key] = id
			}
			n.mu.Unlock()
			if !again && n.OnSend != nil {
				n.OnSend(m.Chat, m.Text, at)
			}
			// its own write: what is being said must not hold up an answer
			line := mustJSON(wireMsg{Op: "sent", Req: m.Req, ID: id})
			n.mu.Lock()
			if n.w != nil {
				n.w.Write(append(line, '\n'))
				n.w.Flush()
			}
			n.mu.Unlock()
		}
	}
}

// write needs the lock.
func (n *FakeNet) write(m wireMsg) {
	if n.w != nil {
		n.w.Write(append(mustJSON(m), '\n'))
	}
}

// Say emits one message; flush sends what is buffered.
func (n *FakeNet) Say(chat, user, text string, flush bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seq++
	m := wireMsg{Op: "msg", Seq: n.seq, ID: fmt.Sprintf("%s-%d", runTag, n.seq), Chat: chat, User: user,
		TS: time.Now().UnixMilli(), Text: text}
	n.unacked = append(n.unacked, m)
	n.write(m)
	if flush && n.w != nil {
		n.w.Flush()
	}
}

// Flush sends what is buffered.
func (n *FakeNet) Flush() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.w != nil {
		n.w.Flush()
	}
}

// Connected waits for the account's hello number after the given one.
func (n *FakeNet) Connected(after int, patience time.Duration) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		n.mu.Lock()
		have := n.hellos
		n.mu.Unlock()
		if have > after {
			return nil
		}
	}
	return fmt.Errorf("the bridge has not connected to the network within %s", patience)
}
