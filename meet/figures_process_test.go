//go:build unix

package meet_test

import (
	"slices"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
)

// callSize is how many take part, callSample how long delays and CPU time are measured in each round.
const (
	callSize   = 8
	callSample = 3 * time.Second
)

// BenchmarkCall is TestCall with real processes on loopback: eight of them, everybody sending voice and 1.5 Mbit/s of
// video, beside a mesh of pion alone, in whose signalling nothing is lost. In each round the eighth joins, all is
// measured, and it is removed. There is no 20 ms: compare with what the machine adds.
//
//	go test -run - -bench Call -benchtime 10x -timeout 20m ./meet
func BenchmarkCall(b *testing.B) {
	b.Run("huisclos", func(b *testing.B) { benchmarkCall(b, startMeetCall(b)) })
	b.Run("bare pion", func(b *testing.B) { benchmarkCall(b, startPionCall(b)) })
}

// processCall is a call of seven processes, and how an eighth comes and goes.
type processCall struct {
	all  []*actor
	join func() (joiner *actor, began int64, who crypto.MeetingKey)
	// kick removes the joiner; called and last are Unix nanoseconds, 0 where there is no such thing.
	kick func(joiner *actor, who crypto.MeetingKey) (called, last int64)
}

func benchmarkCall(b *testing.B, c processCall) {
	defer func() {
		for _, a := range c.all {
			a.stop()
		}
	}()
	var r callResults
	var cpu time.Duration
	var mbit float64
	b.ResetTimer()
	for range b.N {
		joiner, began, who := c.join()
		since := func(at int64) time.Duration { return time.Duration(at - began) }
		own := joiner.do(order{Do: "wait", Count: callSize - 1}).Times
		r.first, r.frame, r.seen = append(r.first, since(own[0])), append(r.frame, since(own[1])), append(r.seen, since(own[2]))
		heard := int64(0)
		for _, a := range together(c.all, order{Do: "heard", Who: who}) {
			heard = max(heard, a.Times[0])
		}
		r.heard = append(r.heard, since(heard))
		time.Sleep(time.Second)
		used, bytes := sampleCall(append(slices.Clone(c.all), joiner), &r)
		cpu, mbit = cpu+used, mbit+float64(bytes)*8/1e6
		if called, last := c.kick(joiner, who); called != 0 {
			r.silent = append(r.silent, max(0, time.Duration(last-called)))
		}
		joiner.stop()
		time.Sleep(time.Second)
	}
	report := func(d time.Duration, unit string) { b.ReportMetric(float64(d)/float64(time.Millisecond), unit) }
	b.ReportMetric(0, "ns/op")
	report(quantile(r.first, 0.5), "first-ms")
	report(quantile(r.frame, 0.5), "frame-ms")
	report(quantile(r.heard, 0.5), "heard-ms")
	report(quantile(r.delays, 0.5), "delay-p50-ms")
	report(quantile(r.delays, 0.99), "delay-p99-ms")
	b.ReportMetric(float64(cpu.Milliseconds())/mbit, "cpu-ms/Mbit")
	b.ReportMetric(mbit/float64(b.N)/callSample.Seconds(), "Mbit/s")
	if len(r.silent) > 0 {
		report(quantile(r.silent, 0.5), "kick-ms")
	}
}

// sampleCall notes delays, and returns the CPU time of all processes and the payload they received.
func sampleCall(all []*actor, r *callResults) (cpu time.Duration, bytes uint64) {
	before := together(all, order{Do: "sample"})
	time.Sleep(callSample)
	for i, a := range together(all, order{Do: "sampled"}) {
		cpu, bytes = cpu+a.CPU-before[i].CPU, bytes+a.Bytes-before[i].Bytes
		r.delays = append(r.delays, a.Delays...)
	}
	return cpu, bytes
}

func startMeetCall(b *testing.B) processCall {
	creator := startActor(b, "meet")
	creator.do(order{Do: "create"})
	join := func() (*actor, answer) {
		invite := creator.do(order{Do: "invite"}).Invite
		a := startActor(b, "meet")
		time.Sleep(200 * time.Millisecond) // it has started
		return a, a.do(order{Do: "join", Invite: invite})
	}
	c := processCall{all: []*actor{creator}}
	for len(c.all) < callSize-1 {
		a, _ := join()
		c.all = append(c.all, a)
	}
	creator.do(order{Do: "send"})
	together(c.all, order{Do: "wait", Count: callSize - 2})
	time.Sleep(time.Second)
	c.join = func() (*actor, int64, crypto.MeetingKey) {
		a, joined := join()
		return a, joined.Times[0], joined.Who
	}
	c.kick = func(joiner *actor, who crypto.MeetingKey) (int64, int64) {
		called := creator.do(order{Do: "remove", Who: who}).Times[0]
		time.Sleep(time.Second)
		return called, joiner.do(order{Do: "last"}).Times[0]
	}
	return c
}

func startPionCall(b *testing.B) processCall {
	var c processCall
	number := byte(0) // everybody's is new
	join := func() (*actor, int64, crypto.MeetingKey) {
		a, own := startActor(b, "pion"), number
		number++
		a.do(order{Do: "start"})
		time.Sleep(200 * time.Millisecond) // it has started
		began := time.Now().UnixNano()
		a.do(order{Do: "send"})
		connect(a, own, c.all)
		return a, began, crypto.MeetingKey{own}
	}
	for len(c.all) < callSize-1 {
		a, _, _ := join()
		c.all = append(c.all, a)
	}
	together(c.all, order{Do: "wait", Count: callSize - 2})
	time.Sleep(time.Second)
	c.join = join
	c.kick = func(_ *actor, who crypto.MeetingKey) (int64, int64) {
		together(c.all, order{Do: "close", To: who[:1]}) // nobody can make the others do so
		return 0, 0
	}
	return c
}

// connect carries the offers of actor number n to others, who have the numbers of their places, and their answers back.
func connect(a *actor, n byte, others []*actor) {
	if len(others) == 0 {
		return
	}
	o := order{Do: "offer"}
	for i := range others {
		o.To = append(o.To, byte(i))
	}
	offers := a.do(o).SDP
	for i, other := range others {
		other.send(order{Do: "answer", To: []byte{n}, SDP: offers[i : i+1]})
	}
	accept := order{Do: "accept", To: o.To}
	for _, other := range others {
		accept.SDP = append(accept.SDP, other.answer().SDP...)
	}
	a.do(accept)
}
