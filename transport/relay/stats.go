package relay

import (
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
)

// Stats are counts for the operator. None tells who.
type Stats struct {
	// Connections are open now, Members of them with a ticket; Reservations and Circuits too.
	Connections, Members, Reservations, Circuits int
	// BytesRelayed is what was copied, both ways together.
	BytesRelayed uint64
	// TicketsAccepted and TicketsRefused count tickets shown.
	TicketsAccepted, TicketsRefused uint64
	// ReservationsAccepted and ReservationsRefused count requests, renewals too.
	ReservationsAccepted, ReservationsRefused uint64
	// CircuitsAccepted and CircuitsRefused count requests.
	CircuitsAccepted, CircuitsRefused uint64
	// Throttled is for how long streams were made to wait, summed up.
	Throttled time.Duration
}

type counters struct {
	reservations, circuits                    atomic.Int64
	bytes                                     atomic.Uint64
	ticketsAccepted, ticketsRefused           atomic.Uint64
	reservationsAccepted, reservationsRefused atomic.Uint64
	circuitsAccepted, circuitsRefused         atomic.Uint64
	throttled                                 atomic.Int64 // ns
}

// Stats returns the counts as they are now.
func (r *Relay) Stats() Stats {
	c := &r.counters
	s := Stats{
		Reservations: int(c.reservations.Load()), Circuits: int(c.circuits.Load()), BytesRelayed: c.bytes.Load(),
		TicketsAccepted: c.ticketsAccepted.Load(), TicketsRefused: c.ticketsRefused.Load(),
		ReservationsAccepted: c.reservationsAccepted.Load(), ReservationsRefused: c.reservationsRefused.Load(),
		CircuitsAccepted: c.circuitsAccepted.Load(), CircuitsRefused: c.circuitsRefused.Load(),
		Throttled: time.Duration(c.throttled.Load()),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.peers {
		s.Connections += p.conns
		if p.claim != nil {
			s.Members++
		}
	}
	return s
}

// tracer is told by the circuit service what it does. It also lets Close wait for the
// goroutines of circuits.
type tracer struct{ r *Relay }

// RelayStatus is of no interest: it runs until Close.
func (t *tracer) RelayStatus(bool) {}

// ConnectionOpened counts a circuit.
func (t *tracer) ConnectionOpened() {
	t.r.circuits.Add(1)
	t.r.counters.circuits.Add(1)
}

// ConnectionClosed is called when both copying goroutines are done.
func (t *tracer) ConnectionClosed(time.Duration) {
	t.r.counters.circuits.Add(-1)
	t.r.circuits.Done()
}

// ConnectionRequestHandled counts the answers.
func (t *tracer) ConnectionRequestHandled(status pb.Status) {
	if status == pb.Status_OK {
		t.r.counters.circuitsAccepted.Add(1)
	} else {
		t.r.counters.circuitsRefused.Add(1)
	}
}

// ReservationAllowed counts a new reservation, and no renewal.
func (t *tracer) ReservationAllowed(renewal bool) {
	if !renewal {
		t.r.counters.reservations.Add(1)
	}
}

// ReservationClosed counts those that ended.
func (t *tracer) ReservationClosed(n int) { t.r.counters.reservations.Add(-int64(n)) }

// ReservationRequestHandled counts the answers.
func (t *tracer) ReservationRequestHandled(status pb.Status) {
	if status == pb.Status_OK {
		t.r.counters.reservationsAccepted.Add(1)
	} else {
		t.r.counters.reservationsRefused.Add(1)
	}
}

// BytesTransferred counts what was copied.
func (t *tracer) BytesTransferred(n int) { t.r.counters.bytes.Add(uint64(n)) }
