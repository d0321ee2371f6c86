//go:build unix

package meet_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/transport"
)

// Benchmarks run members in processes of their own: the test binary again, with a variable set. Orders and answers
// are lines of JSON on its standard input and output.
const actorEnv = "MEET_ACTOR"

// order is what an actor is to do; each gets one answer.
type order struct {
	Do     string
	Invite string                      `json:",omitempty"`
	Count  int                         `json:",omitempty"`
	Who    crypto.MeetingKey           // a sender; with bare pion its first byte is the actor's number
	SDP    []webrtc.SessionDescription `json:",omitempty"`
	To     []byte                      `json:",omitempty"` // actors' numbers
}

type answer struct {
	Err    string `json:",omitempty"`
	Invite string `json:",omitempty"`
	Who    crypto.MeetingKey
	SDP    []webrtc.SessionDescription `json:",omitempty"`
	Times  [3]int64                    // Unix nanoseconds
	Delays []time.Duration             `json:",omitempty"`
	Bytes  uint64
	Count  int
	CPU    time.Duration
}

// TestMain lets a process be an actor.
func TestMain(m *testing.M) {
	if kind := os.Getenv(actorEnv); kind != "" {
		act(kind)
		return
	}
	if flag.Parse(); testing.Short() { // whole meetings leave much garbage, and little stays: a seventh less time
		debug.SetGCPercent(300)
		debug.SetMemoryLimit(768 << 20)
	}
	os.Exit(m.Run())
}

func act(kind string) {
	actors := map[string]func(order) (answer, error){"meet": (&member{last: new(atomic.Int64)}).do, "pion": (&bare{}).do}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var o order
		if in.Decode(&o) != nil {
			return
		}
		a, err := actors[kind](o)
		if err != nil {
			a.Err = fmt.Sprintf("%s: %v", o.Do, err)
		}
		a.CPU = cpuTime()
		if out.Encode(a) != nil {
			return
		}
	}
}

// cpuTime is what this process has used, user and system.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// actor is another process.
type actor struct {
	b    *testing.B
	in   *json.Encoder
	out  *json.Decoder
	stop func()
}

func startActor(b *testing.B, kind string) *actor {
	cmd := exec.Command(os.Args[0], "-test.run", "-")
	cmd.Env = append(os.Environ(), actorEnv+"="+kind)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return &actor{b, json.NewEncoder(in), json.NewDecoder(bufio.NewReader(out)), func() { _ = in.Close(); _ = cmd.Wait() }}
}

func (a *actor) send(o order) {
	if err := a.in.Encode(o); err != nil {
		a.b.Fatal(err)
	}
}

func (a *actor) answer() answer {
	var r answer
	if err := a.out.Decode(&r); err != nil {
		a.b.Fatal(err)
	}
	if r.Err != "" {
		a.b.Fatal(r.Err)
	}
	return r
}

func (a *actor) do(o order) answer {
	a.send(o)
	return a.answer()
}

// together gives all the same order, and returns their answers.
func together(all []*actor, o order) []answer {
	for _, a := range all {
		a.send(o)
	}
	var answers []answer
	for _, a := range all {
		answers = append(answers, a.answer())
	}
	return answers
}

const actorPatience = 30 * time.Second

// member is an actor with one meeting, or several in which it only listens.
type member struct {
	listener *listener
	last     *atomic.Int64 // when media reached it last
	meeting  *meet.Meeting
	silent   []*meet.Meeting
	track    *webrtc.TrackLocalStaticRTP
	sequence uint16
}

func (m *member) do(o order) (a answer, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), actorPatience)
	defer cancel()
	switch o.Do {
	case "create":
		if m.meeting, err = meet.Create(ctx, m.config("member", open())); err == nil {
			m.listener = listen(m.meeting)
		}
	case "invite":
		var i meet.Invite
		i, err = m.meeting.Invite(ctx, meet.InviteOptions{})
		a.Invite = i.String()
	case "join":
		return m.join(ctx, o.Invite)
	case "join silently":
		return a, m.joinSilently(ctx, o.Invite, o.Count)
	case "send":
		err = sendAll(m.meeting.Context(), m.meeting)
	case "publish":
		if m.track, err = newFanoutTrack(); err == nil {
			_, err = m.meeting.Publish(ctx, m.track, meet.PublishOptions{})
		}
	case "links":
		err = m.links(ctx, o.Count)
	case "burst":
		a.Delays = burst(m.track, &m.sequence, o.Count)
	case "delivered":
		a.Bytes, a.Count, err = m.delivered(ctx)
	case "remove":
		return m.remove(ctx, o.Who)
	case "last":
		a.Times[0] = m.last.Load()
	default:
		return m.listener.do(ctx, o)
	}
	return a, err
}

// do answers what is about listening.
func (l *listener) do(ctx context.Context, o order) (a answer, err error) {
	switch o.Do {
	case "wait": // until so many were heard and seen
		first, _, err := l.wait(ctx, l.first, o.Count)
		if err != nil {
			return a, err
		}
		frame, frames, err := l.wait(ctx, l.frame, o.Count)
		a.Times = [3]int64{first.UnixNano(), frame.UnixNano(), frames.UnixNano()}
		return a, err
	case "heard":
		at, err := l.waitFor(ctx, o.Who)
		a.Times[0] = at.UnixNano()
		return a, err
	case "sample":
		_, a.Bytes = l.sampling(true)
	case "sampled":
		a.Delays, a.Bytes = l.sampling(false)
	default:
		err = errors.New("no such order")
	}
	return a, err
}

func (m *member) config(name string, c meet.Config) meet.Config {
	c.Name = name
	c.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	c.Tap = func(at transport.TapPoint, _ transport.PeerKey, _ []byte) {
		if at == transport.TapMedia {
			m.last.Store(time.Now().UnixNano())
		}
	}
	return c
}

// join joins, listens and sends at once.
func (m *member) join(ctx context.Context, link string) (a answer, err error) {
	invite, err := meet.ParseInvite(link)
	if err != nil {
		return a, err
	}
	a.Times[0] = time.Now().UnixNano()
	if m.meeting, err = meet.Join(ctx, invite, m.config("joiner", meet.Config{})); err != nil {
		return a, err
	}
	m.listener = listen(m.meeting)
	if err := sendAll(m.meeting.Context(), m.meeting); err != nil {
		return a, err
	}
	self, err := m.meeting.Self(ctx)
	a.Who = self.Key
	return a, err
}

func (m *member) joinSilently(ctx context.Context, link string, n int) error {
	invite, err := meet.ParseInvite(link)
	if err != nil {
		return err
	}
	for range n {
		c := m.config("receiver", meet.Config{})
		c.Tap = nil
		meeting, err := meet.Join(ctx, invite, c)
		if err != nil {
			return err
		}
		m.silent = append(m.silent, meeting)
	}
	return nil
}

// delivered is how many packets its silent meetings opened, and how many of the meetings opened any.
func (m *member) delivered(ctx context.Context) (n uint64, meetings int, err error) {
	for _, meeting := range m.silent {
		s, err := meeting.Stats(ctx)
		if err != nil {
			return 0, 0, err
		}
		if len(s.Tracks) > 0 && s.Tracks[0].Packets > 0 {
			n += s.Tracks[0].Packets
			meetings++
		}
	}
	return n, meetings, nil
}

// links waits until media links with n members are up.
func (m *member) links(ctx context.Context, n int) error {
	for {
		s, err := m.meeting.Stats(ctx)
		if err != nil {
			return err
		}
		up := 0
		for _, l := range s.Links {
			if l.Up {
				up++
			}
		}
		if up == n {
			return nil
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("%d of %d links: %w", up, n, err)
		}
	}
}

// pause waits a little.
func pause(ctx context.Context) error {
	select {
	case <-time.After(20 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *member) remove(ctx context.Context, who crypto.MeetingKey) (a answer, err error) {
	members, err := m.meeting.Members(ctx)
	if err != nil {
		return a, err
	}
	for _, v := range members {
		if v.Key == who {
			a.Times[0] = time.Now().UnixNano()
			return a, m.meeting.Remove(ctx, v.Identity, false)
		}
	}
	return a, meet.ErrNoSuchMember
}

func newFanoutTrack() (*webrtc.TrackLocalStaticRTP, error) {
	return webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}, "video", "video")
}

const fanoutPayload = 1150 // bytes

// burst sends n packets, about 1,500 a second, and returns the CPU time that this process needed.
func burst(track *webrtc.TrackLocalStaticRTP, sequence *uint16, n int) []time.Duration {
	packet := &rtp.Packet{Header: rtp.Header{Version: 2}, Payload: make([]byte, fanoutPayload)}
	packet.Payload[0] = 0x10
	start := cpuTime()
	for range n {
		*sequence++
		packet.SequenceNumber, packet.Timestamp = *sequence, uint32(*sequence)*600
		_ = track.WriteRTP(packet)
		time.Sleep(500 * time.Microsecond)
	}
	return []time.Duration{cpuTime() - start}
}
