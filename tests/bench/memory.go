package main

import (
	"errors"
	"flag"
	"fmt"
	"time"
)

// cmdMemory measures the memory of bridges that know many portals and ghosts.
// All are made known by the network's own messages: each person of each chat
// says something once.
func cmdMemory(args []string) error {
	f := flag.NewFlagSet("memory", flag.ExitOnError)
	var b bridgeFlags
	b.add(f)
	chats := f.Int("chats", 10000, "chats that are known")
	people := f.Int("people", 10, "ghosts of each chat")
	active := f.Int("active", 100, "chats in which something is said")
	rate := f.Float64("rate", 50, "messages per second each way")
	length := f.Duration("for", 5*time.Minute, "how long")
	limit := f.Float64("limit", 0, "fail above so many MB (0: don't)")
	f.Parse(args)
	fx, err := b.start()
	if err != nil {
		return err
	}
	defer fx.stop()
	over := false
	for _, s := range fx.sides {
		fx.only(s)
		began := time.Now()
		rss := func() float64 { return float64(statusKB(s.pid(), "VmRSS")) / 1024 }
		report := func(what string) {
			fmt.Printf("%s %6.0f s  %-32s RSS %6.1f MB\n", s.Name, time.Since(began).Seconds(), what, rss())
		}
		report("started")
		progress := func(done int) { report(fmt.Sprintf("%d ghosts", done)) }
		if err := s.Fill(fx.t, fx.o, *chats, *people, min(*active, *chats), progress); err != nil {
			return err
		}
		report(fmt.Sprintf("%d portals, %d ghosts", *chats, *chats**people))
		fmt.Printf("%s peak while they were made: %.1f MB\n", s.Name, treePeakMB(s.pid()))
		// once as it stands, once started anew: both must hold
		for _, anew := range []bool{false, true} {
			if anew {
				hellos := s.Net.hellos
				s.Stop()
				if err := s.Start(); err != nil {
					return err
				}
				if err := s.Net.Connected(hellos, 30*time.Second); err != nil {
					return err
				}
				report("started anew")
			}
			if err := fx.talk(s, min(*active, *chats), *people, *rate, *length, anew, report); err != nil {
				return err
			}
			peak := treePeakMB(s.pid())
			fmt.Printf("%s peak so far: %.1f MB\n", s.Name, peak)
			over = over || *limit > 0 && peak > *limit
		}
	}
	for _, s := range fx.sides {
		if s.Name == "ours" && s.faults > 0 {
			return errors.New("messages were lost, doubled or out of order")
		}
	}
	if over {
		return fmt.Errorf("more than %.0f MB", *limit)
	}
	return nil
}

// talk says things in the active chats, both ways.
func (fx *fixture) talk(s *Side, active, people int, rate float64, length time.Duration, anew bool, report func(string)) error {
	in, out := fmt.Sprintf("mi%v", anew), fmt.Sprintf("mo%v", anew)
	s.In.Expect(in)
	s.Out.Expect(out)
	fx.o.Forget()
	total := int(rate * length.Seconds())
	failed := make(chan error, 1)
	go func() {
		start := time.Now()
		for k := range total {
			time.Sleep(time.Until(start.Add(time.Duration(float64(k) / rate * float64(time.Second)))))
			c, i := k%active, k/active
			if err := fx.t.Send(s.User, s.Rooms[chatName(c)], fmt.Sprintf("%s %s %d", out, chatName(c), i), 0); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	}()
	start, next := time.Now(), 15*time.Second
	for k := range total {
		time.Sleep(time.Until(start.Add(time.Duration(float64(k) / rate * float64(time.Second)))))
		c, i := k%active, k/active
		s.Net.Say(chatName(c), person(c, i%people), fmt.Sprintf("%s %s %d", in, chatName(c), i), true)
		if time.Since(start) > next {
			report("talking")
			next += 15 * time.Second
		}
	}
	if err := <-failed; err != nil {
		return err
	}
	have, _ := s.In.Wait(total, stalled)
	s.judge(in, s.In, have, total)
	have, _ = s.Out.Wait(total, stalled)
	s.judge(out, s.Out, have, total)
	report("said all")
	return nil
}
