package meettest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// Options is what the network of a world is like.
type Options = transporttest.Options

// World is a network with members on it.
type World struct {
	// Network is the simulated network: partitions, losses, crashes and taps by host name, which is the member's.
	Network *transporttest.World

	mu      sync.Mutex
	members []*Member
	hosts   map[string]int
	places  map[string]transporttest.HostOptions
}

// Place says where the hosts of this name, which are yet to come, stand: behind which NAT. Others stand on the open
// internet.
func (w *World) Place(name string, o transporttest.HostOptions) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.places[name] = o
}

// NewWorld makes a network without members.
func NewWorld(o Options) (*World, error) {
	n, err := transporttest.NewWorld(o)
	if err != nil {
		return nil, err
	}
	return &World{Network: n, hosts: map[string]int{}, places: map[string]transporttest.HostOptions{}}, nil
}

// Member is one member of a simulated meeting, on a host of its own.
type Member struct {
	*meet.Meeting
	// Host is the name of the member's host on the network.
	Host string

	world *World
	log   eventLog
}

// host makes a host for a member. A name used again, for somebody who restarted, gets a number.
func (w *World) host(name string, config *meet.Config) (string, error) {
	w.mu.Lock()
	place := w.places[name]
	w.hosts[name]++
	if n := w.hosts[name]; n > 1 {
		name = fmt.Sprintf("%s-%d", name, n)
	}
	w.mu.Unlock()
	h, err := w.Network.Host(name, place)
	if err != nil {
		return "", err
	}
	config.Network = h
	return name, nil
}

func (w *World) member(host string, m *meet.Meeting) *Member {
	member := &Member{Meeting: m, Host: host, world: w}
	member.log.follow(m)
	w.mu.Lock()
	w.members = append(w.members, member)
	w.mu.Unlock()
	return member
}

// Create begins a meeting on a new host. Config's Network is the world's; a missing Name is the host's.
func (w *World) Create(ctx context.Context, name string, config meet.Config) (*Member, error) {
	host, err := w.prepare(name, &config)
	if err != nil {
		return nil, err
	}
	m, err := meet.Create(ctx, config)
	if err != nil {
		return nil, err
	}
	return w.member(host, m), nil
}

func (w *World) prepare(name string, config *meet.Config) (string, error) {
	if config.Name == "" {
		config.Name = name
	}
	return w.host(name, config)
}

// Join joins, on a new host, by a fresh invite of the member named. It waits until somebody admits.
func (w *World) Join(ctx context.Context, name string, inviter *Member, config meet.Config) (*Member, error) {
	invite, err := inviter.Invite(ctx, meet.InviteOptions{})
	if err != nil {
		return nil, err
	}
	return w.JoinBy(ctx, name, invite, config)
}

// JoinBy joins, on a new host, by a given link.
func (w *World) JoinBy(ctx context.Context, name string, invite meet.Invite, config meet.Config) (*Member, error) {
	host, err := w.prepare(name, &config)
	if err != nil {
		return nil, err
	}
	m, err := meet.Join(ctx, invite, config)
	if err != nil {
		return nil, err
	}
	return w.member(host, m), nil
}

// Members returns all members there ever were, in the order they came.
func (w *World) Members() []*Member {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*Member(nil), w.members...)
}

// Advance lets virtual time pass.
func (w *World) Advance(d time.Duration) { time.Sleep(d) }

// Crash takes a member's host off the network without a goodbye, and then ends the member.
func (w *World) Crash(m *Member) {
	w.Network.Crash(m.Host)
	_ = m.Close()
	m.log.wait()
}

// Close ends all members and the network.
func (w *World) Close() error {
	w.mu.Lock()
	members := w.members
	w.mu.Unlock()
	var group sync.WaitGroup
	for _, m := range members {
		group.Go(func() {
			_ = m.Close()
			m.log.wait()
		})
	}
	group.Wait()
	return w.Network.Close()
}
