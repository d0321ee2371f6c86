// Package meettest is a simulated world of meetings, for tests of programs that embed them and for research: whole
// meetings with real keys, real libp2p and real pion, on a simulated network, in virtual time.
//
//	func TestMeeting(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			w, _ := meettest.NewWorld(meettest.Options{Latency: 20 * time.Millisecond})
//			defer w.Close()
//			host, _ := w.Create(t.Context(), "host", meet.Config{})
//			guest, _ := w.Join(t.Context(), "guest", host, meet.Config{})
//			…
//		})
//	}
//
// It must be used inside a testing/synctest bubble. A minute in it takes a fraction of a second. What happens is
// repeatable in its bounds, not bit for bit: assert bounds.
//
// It never opens a real socket.
package meettest
