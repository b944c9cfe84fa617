package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

func jsonReader(v any) io.Reader { return bytes.NewReader(mustJSON(v)) }

// fixture is a homeserver with the bridges on it, started.
type fixture struct {
	t     *Target
	o     *Observer
	sides []*Side
}

type bridgeFlags struct {
	targets        targetFlags
	ours, bridgev2 string
	dir            string
}

func (b *bridgeFlags) add(f *flag.FlagSet) {
	f.Var(&b.targets, "target", "name=launcher[?ENV=value] of the homeserver")
	f.StringVar(&b.ours, "ours", "", "the bridge on our framework (tests/bench/bridge)")
	f.StringVar(&b.bridgev2, "bridgev2", "", "the bridge on bridgev2 (tests/bench/bridgev2)")
	f.StringVar(&b.dir, "dir", "", "where to work (default: a temporary folder)")
}

func (b *bridgeFlags) start() (*fixture, error) {
	if len(b.targets) != 1 || b.ours == "" && b.bridgev2 == "" {
		return nil, errors.New("want one --target, and --ours or --bridgev2 or both")
	}
	if b.dir == "" {
		dir, err := os.MkdirTemp("", "bridges-bench")
		if err != nil {
			return nil, err
		}
		b.dir = dir
	}
	fx := &fixture{}
	before := func(t *Target, appservices string) (err error) {
		for _, k := range []struct{ kind, binary string }{{"ours", b.ours}, {"bridgev2", b.bridgev2}} {
			if k.binary == "" {
				continue
			}
			s, err := NewSide(k.kind, k.binary, appservices, t)
			if err != nil {
				return err
			}
			fx.sides = append(fx.sides, s)
		}
		fx.o, err = NewObserver(appservices, []string{"lb", "bv"})
		return err
	}
	t, err := Start(b.targets[0], StartOptions{Dir: b.dir, Ready: 2 * time.Minute, RoomVer: "12", Before: before})
	if err != nil {
		return nil, err
	}
	fx.t = t
	for _, s := range fx.sides {
		if err := s.Start(); err != nil {
			fx.stop()
			return nil, err
		}
		if err := s.Login(t); err != nil {
			fx.stop()
			return nil, err
		}
	}
	return fx, nil
}

func (fx *fixture) stop() {
	for _, s := range fx.sides {
		s.Stop()
		s.Net.Close()
	}
	fx.t.Stop()
	fx.o.srv.Close()
}

// only lets one side run and stops the others where they stand.
func (fx *fixture) only(side *Side) {
	for _, s := range fx.sides {
		if s != side {
			s.signal(syscall.SIGSTOP)
		}
	}
	side.signal(syscall.SIGCONT)
}

func (fx *fixture) all() {
	for _, s := range fx.sides {
		s.signal(syscall.SIGCONT)
	}
}

// load is how much is done in a round.
type load struct {
	chats, people, messages, latencies int
	rate                               float64
}

const stalled = 30 * time.Second

// round measures one side once.
func (fx *fixture) round(s *Side, l load, n int) error {
	each := l.messages / l.chats
	measure := func(what string, a *Arrivals, phase string, count int, work func(phase string) error) (began time.Time, err error) {
		fx.o.Forget()
		a.Expect(phase)
		cpu := treeCPU(s.pid())
		began = time.Now()
		if err := work(phase); err != nil {
			return began, err
		}
		have, last := a.Wait(count, stalled)
		if have == count && what != "" {
			s.note(what+" msg/s", float64(count)/last.Sub(began).Seconds())
			s.note(what+" CPU ms/msg", 1000*(treeCPU(s.pid())-cpu)/float64(count))
		}
		s.judge(phase, a, have, count)
		return began, nil
	}
	said := func(phase string) error {
		for i := range each {
			for c := range l.chats {
				s.Net.Say(chatName(c), person(c, i%l.people), fmt.Sprintf("%s %s %d", phase, chatName(c), i), false)
			}
		}
		s.Net.Flush()
		return nil
	}
	if _, err := measure("in", s.In, fmt.Sprintf("i%d", n), each*l.chats, said); err != nil {
		return err
	}
	send := func(phase string, c, i int) error {
		return fx.t.Send(s.User, s.Rooms[chatName(c)], fmt.Sprintf("%s %s %d", phase, chatName(c), i), 0)
	}
	// one after another in a chat, 16 chats at a time
	sent := func(phase string) error {
		_, _, err := pool(l.chats, 16, 10*time.Minute, func(c int) error {
			for i := range each {
				if err := send(phase, c, i); err != nil {
					return err
				}
			}
			return nil
		})
		return err
	}
	if _, err := measure("out", s.Out, fmt.Sprintf("o%d", n), each*l.chats, sent); err != nil {
		return err
	}
	for _, dir := range []string{"in", "out"} {
		a := s.In
		if dir == "out" {
			a = s.Out
		}
		phase := fmt.Sprintf("%sl%d", dir[:1], n)
		begun := make([]time.Time, l.latencies)
		paced := func(phase string) error {
			var wg sync.WaitGroup
			var failed error
			var mu sync.Mutex
			start := time.Now()
			for k := range l.latencies {
				time.Sleep(time.Until(start.Add(time.Duration(float64(k) / l.rate * float64(time.Second)))))
				c, i := k%l.chats, k/l.chats
				begun[k] = time.Now()
				if dir == "in" {
					s.Net.Say(chatName(c), person(c, i%l.people), fmt.Sprintf("%s %s %d", phase, chatName(c), i), true)
					continue
				}
				wg.Add(1)
				go func() {
					defer wg.Done()
					if err := send(phase, c, i); err != nil {
						mu.Lock()
						failed = err
						mu.Unlock()
					}
				}()
			}
			wg.Wait()
			return failed
		}
		if _, err := measure("", a, phase, l.latencies, paced); err != nil {
			return err
		}
		var took []time.Duration
		for k, b := range begun {
			if at, ok := a.At(chatName(k%l.chats), k/l.chats); ok {
				took = append(took, at.Sub(b))
			}
		}
		slices.Sort(took)
		if len(took) > 0 {
			s.note(dir+" p50 ms", ms(took[len(took)/2]))
			s.note(dir+" p99 ms", ms(took[len(took)*99/100]))
		}
	}
	s.note("RSS MB", float64(statusKB(s.pid(), "VmRSS"))/1024)
	return nil
}

func (s *Side) note(figure string, v float64) { s.tally[figure] = append(s.tally[figure], v) }

// judge counts what was lost, doubled or out of order.
func (s *Side) judge(phase string, a *Arrivals, have, want int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if bad := want - have + a.Doubled + a.Reordered; bad != 0 {
		s.faults += bad
		fmt.Printf("%s, %s: of %d messages %d lost, %d doubled, %d out of order\n", s.Name, phase, want, want-have, a.Doubled, a.Reordered)
	}
}

// figures are the rows of the table; better: 1 more, -1 less.
var figures = []struct {
	name   string
	better int
}{
	{"first msg/s", 1}, {"in msg/s", 1}, {"out msg/s", 1}, {"in p50 ms", -1}, {"in p99 ms", -1}, {"out p50 ms", -1}, {"out p99 ms", -1},
	{"in CPU ms/msg", -1}, {"out CPU ms/msg", -1}, {"RSS MB", -1}, {"peak RSS MB", -1},
}

func printSides(sides []*Side) {
	fmt.Printf("\n%-16s", "median of rounds")
	for _, s := range sides {
		fmt.Printf("%12s", s.Name)
	}
	if len(sides) == 2 {
		fmt.Printf("%12s  each round", "better by")
	}
	fmt.Println()
	for _, f := range figures {
		fmt.Printf("%-16s", f.name)
		for _, s := range sides {
			fmt.Printf("%12s", num(median(slices.Clone(s.tally[f.name]))))
		}
		if len(sides) == 2 {
			a, b := sides[0].tally[f.name], sides[1].tally[f.name]
			fmt.Printf("%12s ", num(better(median(slices.Clone(a)), median(slices.Clone(b)), f.better)))
			for i := range min(len(a), len(b)) {
				fmt.Printf(" %s", num(better(a[i], b[i], f.better)))
			}
		}
		fmt.Println()
	}
}

func better(a, b float64, sign int) float64 {
	if sign > 0 {
		return a / b
	}
	return b / a
}

func cmdBridges(args []string) error {
	f := flag.NewFlagSet("bridges", flag.ExitOnError)
	var b bridgeFlags
	var l load
	b.add(f)
	f.IntVar(&l.chats, "chats", 50, "chats")
	f.IntVar(&l.people, "people", 10, "people of the network in each chat")
	f.IntVar(&l.messages, "messages", 5000, "messages of a throughput phase")
	f.IntVar(&l.latencies, "singles", 400, "messages of a latency phase")
	f.Float64Var(&l.rate, "rate", 20, "messages per second there")
	rounds := f.Int("rounds", 3, "rounds")
	f.Parse(args)
	l.messages = max(l.messages, l.chats)
	fx, err := b.start()
	if err != nil {
		return err
	}
	defer fx.stop()
	for _, s := range fx.sides {
		fx.only(s)
		began := time.Now()
		if err := s.Fill(fx.t, fx.o, l.chats, l.people, l.chats, nil); err != nil {
			return err
		}
		_, last := s.In.Wait(0, 0)
		s.note("first msg/s", float64(l.chats*l.people)/last.Sub(began).Seconds())
		s.judge("fill", s.In, l.chats*l.people, l.chats*l.people)
	}
	for r := range *rounds {
		order := slices.Clone(fx.sides)
		if r%2 == 1 {
			slices.Reverse(order)
		}
		for _, s := range order {
			fx.only(s)
			resetPeak(s.pid())
			if err := fx.round(s, l, r); err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
			s.note("peak RSS MB", treePeakMB(s.pid()))
			var line []string
			for _, f := range figures[1:] {
				if v := s.tally[f.name]; len(v) > 0 {
					line = append(line, f.name+" "+num(v[len(v)-1]))
				}
			}
			fmt.Printf("round %d %s: %s\n", r+1, s.Name, strings.Join(line, ", "))
		}
	}
	fx.all()
	printSides(fx.sides)
	for _, s := range fx.sides {
		if s.Name == "ours" && s.faults > 0 {
			return errors.New("messages were lost, doubled or out of order")
		}
	}
	return nil
}
