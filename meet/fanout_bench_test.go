//go:build unix

package meet_test

import (
	"testing"
	"time"
)

// BenchmarkFanout publishes one track to 25 members in another process over loopback, and compares the CPU time of the
// sender's process, sealing and the upkeep of its 25 links included, with that of pion alone: "bare" is one track on
// 25 PeerConnections without interceptors, "default" with pion's own. Each sender has a process of its own. Packets
// are of 1,150 bytes.
//
//	go test -run - -bench Fanout -benchtime 3000x ./meet
func BenchmarkFanout(b *testing.B) {
	const receivers, batch = 25, 200
	senders, receiving := map[string]*actor{}, map[string]*actor{}
	start := func(kind string) *actor {
		a := startActor(b, kind)
		b.Cleanup(a.stop)
		return a
	}
	ours, silent := start("meet"), start("meet")
	ours.do(order{Do: "create"})
	for n := 0; n < receivers; n += 13 { // a link lets in 16 at once
		invite := ours.do(order{Do: "invite"}).Invite
		silent.do(order{Do: "join silently", Invite: invite, Count: min(13, receivers-n)})
	}
	ours.do(order{Do: "publish"})
	ours.do(order{Do: "links", Count: receivers})
	senders["ours"], receiving["ours"] = ours, silent
	for _, variant := range []string{"bare", "default"} {
		b.Setenv("MEET_INTERCEPTORS", map[string]string{"bare": "none"}[variant])
		senders[variant], receiving[variant] = startBareFanout(start, receivers)
	}
	before := map[string]uint64{}
	for variant, sender := range senders {
		before[variant] = warmUp(b, variant, sender, receiving[variant], receivers)
	}
	cost := map[string]time.Duration{}
	rounds := (b.N + batch - 1) / batch
	b.ResetTimer()
	for range rounds { // in turns, so that all see the same machine
		for _, variant := range []string{"ours", "bare", "default"} {
			cost[variant] += senders[variant].do(order{Do: "burst", Count: batch}).Delays[0]
		}
	}
	time.Sleep(time.Second)
	for variant, spent := range cost {
		// A loaded machine drops some on the receivers' side, which the sender's figure doesn't depend on.
		got := receiving[variant].do(order{Do: "delivered"}).Bytes - before[variant]
		b.ReportMetric(100*float64(got)/float64(rounds*batch*receivers), variant+"-%-arrived")
		b.ReportMetric(float64(spent.Microseconds())/float64(rounds*batch), variant+"-cpu-µs/packet")
	}
	b.ReportMetric(float64(cost["ours"])/float64(cost["bare"]), "ours/bare")
	b.ReportMetric(float64(cost["ours"])/float64(cost["default"]), "ours/default")
	b.ReportMetric(0, "ns/op")
}

// warmUp sends until all receive, and returns how many packets arrived.
func warmUp(b *testing.B, variant string, sender, receiver *actor, n int) uint64 {
	got := answer{}
	for range 20 {
		sender.do(order{Do: "burst", Count: 20})
		time.Sleep(500 * time.Millisecond)
		if got = receiver.do(order{Do: "delivered"}); got.Count == n {
			return got.Bytes
		}
	}
	b.Fatalf("%s: only %d of %d receive", variant, got.Count, n)
	return 0
}

// startBareFanout is a sender with n receivers, which have one process.
func startBareFanout(start func(string) *actor, n int) (sender, receiver *actor) {
	sender, receiver = start("pion"), start("pion")
	sender.do(order{Do: "start", Who: [32]byte{bareSender}})
	receiver.do(order{Do: "start", Who: [32]byte{bareReceiver}})
	for i := range n {
		to := []byte{byte(i)}
		offer := sender.do(order{Do: "offer", To: to}).SDP
		sdp := receiver.do(order{Do: "answer", To: to, SDP: offer}).SDP
		sender.do(order{Do: "accept", To: to, SDP: sdp})
	}
	sender.do(order{Do: "connected"})
	return sender, receiver
}
