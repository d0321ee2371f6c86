package meet_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

type discard struct{}

func (discard) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

// BenchmarkFile sends 20 MB over loopback between two members: paced, and as fast as a stream takes it.
func BenchmarkFile(b *testing.B) {
	for name, hooks := range map[string][]string{"paced": nil, "baseline": {"noPacing"}} {
		b.Run(name, func(b *testing.B) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			config := meet.With(open(), hooks...)
			config.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
			x, err := meet.Create(ctx, config)
			if err != nil {
				b.Fatal(err)
			}
			defer x.Close()
			invite, err := x.Invite(ctx, meet.InviteOptions{})
			if err != nil {
				b.Fatal(err)
			}
			y, err := meet.Join(ctx, invite, meet.Config{Listen: config.Listen})
			if err != nil {
				b.Fatal(err)
			}
			defer y.Close()
			for _, m := range []*meet.Meeting{x, y} {
				if err := await(ctx, &meettest.Member{Meeting: m}, 2); err != nil {
					b.Fatal(err)
				}
			}
			body := content(20_000_000)
			if _, err := x.OfferFile(ctx, source("x", body), crypto.IdentityKey{}); err != nil {
				b.Fatal(err)
			}
			var offers []meet.FileOffer
			for len(offers) == 0 {
				if offers, err = y.Files(ctx); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				f, err := y.ReceiveFile(ctx, offers[0].ID, discard{}, meet.FileReceiveOptions{})
				if err != nil {
					b.Fatal(err)
				}
				if err := f.Wait(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
