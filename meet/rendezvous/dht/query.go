package dht

import (
	"context"
	"fmt"

	"github.com/ipfs/go-cid"
	ma "github.com/multiformats/go-multiaddr"
)

func (n *node) provide(ctx context.Context, key cid.Cid) error {
	ctx, cancel := context.WithTimeout(ctx, provideWait)
	defer cancel()
	if err := n.dht.Provide(ctx, key, true); err != nil {
		return fmt.Errorf("dht: announce: %w", err)
	}
	return nil
}

// search asks once, by a node of its own.
func (r *Rendezvous) search(ctx context.Context, s subject, found chan<- []ma.Multiaddr) {
	key, err := s.cid()
	if err != nil {
		return
	}
	n, err := r.join(ctx, nil)
	if err != nil {
		return
	}
	defer n.close()
	for info := range n.dht.FindProvidersAsync(ctx, key, 0) {
		addrs, err := s.open(info.Addrs)
		if err != nil {
			continue
		}
		select {
		case found <- addrs:
		case <-ctx.Done():
			return
		}
	}
}
