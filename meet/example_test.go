package meet_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/huisclos/huisclos/meet"
)

// The examples run on this machine alone. A real program leaves Listen out.
var loopback = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}

// two is a meeting of two for the examples below.
func two(ctx context.Context) (host, guest *meet.Meeting) {
	policy := meet.DefaultPolicy()
	policy.Entry = meet.EntryOpen // whoever has the link comes in
	host, err := meet.Create(ctx, meet.Config{Name: "Alice", Policy: policy, Listen: loopback})
	if err != nil {
		log.Fatal(err)
	}
	invite, err := host.Invite(ctx, meet.InviteOptions{})
	if err != nil {
		log.Fatal(err)
	}
	guest, err = meet.Join(ctx, invite, meet.Config{Name: "Bob", Listen: loopback})
	if err != nil {
		log.Fatal(err)
	}
	return host, guest
}

// Begin a meeting and make a link to send.
func ExampleCreate() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	meeting, err := meet.Create(ctx, meet.Config{Name: "Maître Dupont", Listen: loopback})
	if err != nil {
		log.Fatal(err)
	}
	defer meeting.Close()
	invite, err := meeting.Invite(ctx, meet.InviteOptions{Expiry: time.Now().Add(time.Hour)})
	if err != nil {
		log.Fatal(err)
	}
	link := invite.String() // a secret, for whoever is invited
	fmt.Println(link[:11])
	// Output: huisclos:1-
}

// Join by a link. Join returns when somebody has decided.
func ExampleJoin() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	host, guest := two(ctx)
	defer host.Close()
	invite, err := host.Invite(ctx, meet.InviteOptions{})
	if err != nil {
		log.Fatal(err)
	}

	link, err := meet.ParseInvite(invite.String())
	if err != nil {
		log.Fatal(err) // says what is wrong with the link
	}
	meeting, err := meet.Join(ctx, link, meet.Config{Name: "Carol", Listen: loopback})
	var denied *meet.DeniedError
	if errors.As(err, &denied) {
		log.Fatal("not let in: ", err)
	} else if err != nil {
		log.Fatal(err)
	}
	members, err := meeting.Members(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(members), "members")
	_ = meeting.Leave(ctx)
	_ = guest.Leave(ctx)
	// Output: 3 members
}

// Ask for a decision about everybody who knocks, from the meeting's events.
func ExampleMeeting_Admit() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	host, err := meet.Create(ctx, meet.Config{Name: "Alice", Listen: loopback}) // the default policy: a host is asked
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range host.Events() { // ends with the meeting
			switch e := e.(type) {
			case meet.Knocked:
				fmt.Println(e.Knock.Name, "knocks")
				if err := host.Admit(ctx, e.Knock.Identity); err != nil {
					log.Print(err)
				}
			case meet.MemberJoined:
				fmt.Println(e.Member.Name, "is in")
			}
		}
	}()
	invite, err := host.Invite(ctx, meet.InviteOptions{})
	if err != nil {
		log.Fatal(err)
	}
	guest, err := meet.Join(ctx, invite, meet.Config{Name: "Bob", Listen: loopback})
	if err != nil {
		log.Fatal(err)
	}
	_ = guest.Close()
	_ = host.Close()
	<-done
	// Output:
	// Bob knocks
	// Bob is in
}

// Publish any pion track, and read the others' as from a webrtc.TrackRemote.
func ExampleMeeting_Publish() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	host, guest := two(ctx)
	defer host.Close()
	defer guest.Close()

	opus := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}
	track, err := webrtc.NewTrackLocalStaticRTP(opus, "microphone", "alice")
	if err != nil {
		log.Fatal(err)
	}
	publication, err := host.Publish(ctx, track, meet.PublishOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer publication.Close()
	go func() { // a source: mediadevices, a file reader, GStreamer …
		for n := uint16(0); ctx.Err() == nil; n++ {
			header := rtp.Header{Version: 2, SequenceNumber: n, Timestamp: uint32(n) * 960}
			_ = track.WriteRTP(&rtp.Packet{Header: header, Payload: []byte("twenty milliseconds of sound")})
			time.Sleep(20 * time.Millisecond)
		}
	}()
	for e := range guest.Events() {
		added, ok := e.(meet.TrackAdded)
		if !ok {
			continue
		}
		packet, _, err := added.Track.ReadRTP()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s\n", added.Track.Codec().MimeType, packet.Payload)
		break
	}
	// Output: audio/opus: twenty milliseconds of sound
}

// Say something to everybody.
func ExampleMeeting_Say() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	host, guest := two(ctx)
	defer host.Close()
	defer guest.Close()
	heard := make(chan meet.Chat, 1)
	ready := make(chan struct{})
	go func() {
		for e := range host.Events() {
			switch e := e.(type) {
			case meet.Snapshot:
				close(ready)
			case meet.Chat:
				heard <- e
				return
			}
		}
	}()
	<-ready
	if err := guest.Say(ctx, "bonjour"); err != nil {
		log.Fatal(err)
	}
	chat := <-heard
	fmt.Printf("%s: %s\n", chat.From.Name, chat.Text)
	// Output: Bob: bonjour
}

// Remove somebody. What they get to know is who did it.
func ExampleMeeting_Remove() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	host, guest := two(ctx)
	defer host.Close()
	members, err := host.Members(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range members {
		if m.Name == "Bob" {
			if err := host.Remove(ctx, m.Identity, true); err != nil {
				log.Fatal(err)
			}
		}
	}
	<-guest.Context().Done()
	fmt.Println(context.Cause(guest.Context()))
	_ = guest.Close() // waits until every goroutine has ended
	// Output: Alice removed you from the meeting for good
}
