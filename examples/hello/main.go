package main

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	here := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")} // leave it out to be reached by others

	policy := meet.DefaultPolicy()
	policy.Entry = meet.EntryOpen // whoever has a link may enter; the default asks a host about each
	claire := must(meet.Create(ctx, meet.Config{Name: "Claire", Listen: here, Policy: policy}))
	link := must(claire.Invite(ctx, meet.InviteOptions{})).String() // a secret: send it to Paul only

	paul := must(meet.Join(ctx, must(meet.ParseInvite(link)), meet.Config{Name: "Paul", Listen: here}))
	fmt.Println("Claire reads aloud:", words(ctx, claire)) // the same words for both: nobody is in between
	fmt.Println("Paul compares with:", words(ctx, paul))

	for e := range paul.Events() { // begins with a Snapshot of what there is, and ends with the meeting
		switch e := e.(type) {
		case meet.Snapshot:
			check(claire.Say(ctx, "Hello, Paul. Nobody else can read this."))
		case meet.Chat:
			fmt.Printf("%s says: %s\n", e.From.Name, e.Text)
			check(paul.Leave(ctx))
		}
	}
	check(claire.Leave(ctx))
}

// words waits until all members see the same list of members; then they can be compared.
func words(ctx context.Context, m *meet.Meeting) [6]string {
	for e := range m.Events() {
		switch e.(type) {
		case meet.Snapshot, meet.WordsAvailable:
			if v, err := m.Words(ctx); err == nil {
				return v.Words(crypto.English)
			}
		}
	}
	panic(context.Cause(m.Context()))
}

func must[T any](v T, err error) T { check(err); return v }

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
