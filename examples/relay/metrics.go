package main

import (
	"github.com/huisclos/huisclos/transport/relay"
	"github.com/prometheus/client_golang/prometheus"
)

// collector makes Prometheus metrics of the relay's counts. They tell how much, never who.
type collector struct{ r *relay.Relay }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("huisclos_relay_"+name, help, labels, nil)
}

var (
	connections  = desc("connections", "Connections open now.")
	members      = desc("members", "Peers with a ticket that are connected now.")
	reservations = desc("reservations", "Peers who can be reached through the relay now.")
	circuits     = desc("circuits", "Circuits open now.")
	relayed      = desc("relayed_bytes_total", "Bytes copied, both ways together.")
	throttled    = desc("throttled_seconds_total", "For how long streams of peers over their rate were made to wait, summed up.")
	tickets      = desc("tickets_total", "Tickets shown.", "result")
	reservation  = desc("reservation_requests_total", "Reservations asked for, renewals too.", "result")
	circuit      = desc("circuit_requests_total", "Circuits asked for.", "result")
)

// Describe tells what there is.
func (collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{connections, members, reservations, circuits, relayed, throttled, tickets, reservation, circuit} {
		ch <- d
	}
}

// Collect reads the counts.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	s := c.r.Stats()
	gauge := func(d *prometheus.Desc, v int) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v))
	}
	count := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	gauge(connections, s.Connections)
	gauge(members, s.Members)
	gauge(reservations, s.Reservations)
	gauge(circuits, s.Circuits)
	count(relayed, float64(s.BytesRelayed))
	count(throttled, s.Throttled.Seconds())
	count(tickets, float64(s.TicketsAccepted), "accepted")
	count(tickets, float64(s.TicketsRefused), "refused")
	count(reservation, float64(s.ReservationsAccepted), "accepted")
	count(reservation, float64(s.ReservationsRefused), "refused")
	count(circuit, float64(s.CircuitsAccepted), "accepted")
	count(circuit, float64(s.CircuitsRefused), "refused")
}
