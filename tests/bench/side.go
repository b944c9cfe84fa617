package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const provisioningSecret = "bench-provisioning-secret"

// Side is one bridge under measurement, with a network of its own.
type Side struct {
	Name, Prefix string // of ghosts
	Binary       string
	Net          *FakeNet
	Out          *Arrivals // what came out at the network
	In           *Arrivals // what came out on Matrix
	User         *User
	Rooms        map[string]string
	dir, listen  string
	userID       string
	env          []string
	args         []string
	cmd          *exec.Cmd
	exited       chan struct{}
	tally        map[string][]float64 // figure -> rounds
	faults       int
}

// bridgev2Config is what bridgev2 can't know; the rest is its defaults. It logs
// warnings only, as ours does here.
const bridgev2Config = `homeserver:
    address: %s
    domain: %s
appservice:
    address: http://%s
    hostname: 127.0.0.1
    port: %s
    id: bv
    bot: {username: bvbot}
    username_template: bv_{{.}}
database:
    type: sqlite3-fk-wal
    uri: file:%s/bridge.db?_txlock=immediate
bridge:
    permissions: {"*": relay, "%s": user}
provisioning:
    shared_secret: %s
network:
    address: %s
logging:
    min_level: warn
    writers: [{type: stderr, format: json}]
`

// NewSide prepares a bridge and writes its registration file into appservices.
func NewSide(kind, binary, appservices string, t *Target) (*Side, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	n, err := NewFakeNet()
	if err != nil {
		return nil, err
	}
	s := &Side{Name: kind, Binary: binary, Net: n, Out: &Arrivals{}, dir: filepath.Join(t.Dir, kind),
		listen: fmt.Sprintf("127.0.0.1:%d", freePort()), tally: map[string][]float64{}}
	n.OnSend = func(_, text string, at time.Time) { s.Out.Note(text, at) }
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, err
	}
	defer func() { s.userID = "@" + s.Prefix + "ann:" + t.ServerName }()
	registration := filepath.Join(appservices, kind+".yaml")
	hs := fmt.Sprintf("http://127.0.0.1:%d", t.Port)
	var register []string
	switch kind {
	case "ours":
		s.Prefix, s.args, register = "lb", []string{"run"}, []string{"register"}
		s.env = append(os.Environ(), "HS_URL="+hs, "SERVER_NAME="+t.ServerName, "LISTEN="+s.listen, "REGISTRATION="+registration,
			"DATA_DIR="+s.dir, "NETWORK="+n.Addr, "PROVISIONING_SECRET="+provisioningSecret)
	case "bridgev2":
		config := filepath.Join(s.dir, "config.yaml")
		s.Prefix, s.env = "bv", os.Environ()
		s.args, register = []string{"-n", "-c", config}, []string{"-g", "-c", config, "-r", registration}
		_, port, _ := splitAddr(s.listen)
		text := fmt.Sprintf(bridgev2Config, hs, t.ServerName, s.listen, port, s.dir, t.ServerName, provisioningSecret, n.Addr)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	c := exec.Command(s.Binary, register...)
	c.Env, c.Dir = s.env, s.dir
	if out, err := c.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: registration: %v: %s", kind, err, out)
	}
	return s, nil
}

func splitAddr(addr string) (host, port string, ok bool) {
	for i := len(addr) - 1; i >= 0; i-- {
		if addr[i] == ':' {
			return addr[:i], addr[i+1:], true
		}
	}
	return addr, "", false
}

// Start runs the bridge until it answers.
func (s *Side) Start() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "bridge.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command(s.Binary, s.args...)
	s.cmd.Env, s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.env, s.dir, log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	cmd, exited := s.cmd, make(chan struct{})
	s.exited = exited
	go func() { cmd.Wait(); close(exited) }()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		select {
		case <-exited:
			return fmt.Errorf("%s ended, see %s", s.Name, log.Name())
		default:
		}
		if _, err := s.provision("GET", "whoami", s.userID, nil); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s does not answer, see %s", s.Name, log.Name())
}

func (s *Side) pid() int { return s.cmd.Process.Pid }

func (s *Side) Stop() {
	if s.cmd == nil {
		return
	}
	s.signal(syscall.SIGCONT)
	s.signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(20 * time.Second):
		s.signal(syscall.SIGKILL)
		<-s.exited
	}
	s.cmd = nil
}

func (s *Side) signal(sig syscall.Signal) { syscall.Kill(-s.pid(), sig) }

// provision asks the provisioning API, which both bridges speak.
func (s *Side) provision(method, path, user string, body any) (map[string]any, error) {
	var r io.Reader
	if body != nil {
		r = jsonReader(body)
	}
	q, err := http.NewRequest(method, "http://"+s.listen+"/_matrix/provision/v3/"+path+"?user_id="+url.QueryEscape(user), r)
	if err != nil {
		return nil, err
	}
	q.Header.Set("Authorization", "Bearer "+provisioningSecret)
	q.Header.Set("Content-Type", "application/json")
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	b, _ := io.ReadAll(a.Body)
	if a.StatusCode != 200 {
		return nil, fmt.Errorf("%s %s: HTTP %d %s", method, path, a.StatusCode, b)
	}
	var out map[string]any
	return out, json.Unmarshal(b, &out)
}

// Login logs the side's user in to its network.
func (s *Side) Login(t *Target) (err error) {
	if s.User, err = t.NewUser(s.Prefix + "ann"); err != nil {
		return err
	}
	step, err := s.provision("POST", "login/start/token", s.User.ID, obj{})
	if err != nil {
		return err
	}
	path := fmt.Sprintf("login/step/%v/%v/user_input", step["login_id"], step["step_id"])
	if step, err = s.provision("POST", path, s.User.ID, obj{"token": "ann"}); err != nil {
		return err
	}
	if step["type"] != "complete" {
		return fmt.Errorf("%s: the login is not complete: %v", s.Name, step)
	}
	return s.Net.Connected(0, 30*time.Second)
}

// fillWindow is how many first messages are under way at most.
const fillWindow = 2000

// Fill has each chat's people say something once, so that all rooms and ghosts
// are there, and lets the user join the rooms of the first `join` chats.
func (s *Side) Fill(t *Target, o *Observer, chats, people, join int, progress func(done int)) error {
	s.In = o.arrivals[s.Prefix]
	s.In.Expect("fill")
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for k := range chats * people {
			// not all chats at once: a network's people don't all wake together
			for have, _ := s.In.Wait(0, 0); k-have >= fillWindow; have, _ = s.In.Wait(0, 0) {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
			c, p := k/people, k%people
			s.Net.Say(chatName(c), person(c, p), fmt.Sprintf("fill %s %d", chatName(c), p), k%people == people-1)
		}
	}()
	ticker := time.NewTicker(10 * time.Second)
	defer ticker.Stop()
	for all := chats * people; ; {
		have, last := s.In.Wait(0, 0)
		if have >= all {
			break
		}
		if time.Since(last) > 120*time.Second {
			return fmt.Errorf("%s: only %d of the first %d messages arrived", s.Name, have, all)
		}
		select {
		case <-ticker.C:
			if progress != nil {
				progress(have)
			}
		case <-time.After(20 * time.Millisecond):
		}
	}
	s.Rooms = o.Rooms(s.Prefix)
	_, _, err := pool(join, 4, 5*time.Minute, func(i int) error { return t.Join(s.User, s.Rooms[chatName(i)]) })
	return err
}

func chatName(c int) string  { return fmt.Sprintf("c%d", c) }
func person(c, p int) string { return fmt.Sprintf("u%dx%d", c, p) }
