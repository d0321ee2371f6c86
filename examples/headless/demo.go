package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/examples/internal/media"
	"github.com/huisclos/huisclos/examples/internal/mediafile"
	"github.com/huisclos/huisclos/meet"
	"github.com/pion/webrtc/v4"
)

// Times of the demo, which ends in about 20 s.
const (
	demoLimit  = 90 * time.Second // it has failed if it isn't over then
	demoListen = 10 * time.Second // listening to each other
	demoAfter  = 4 * time.Second  // watching the removed member's counters
)

// language is that of the user's environment, as POSIX has it: French or English.
func language(getenv func(string) string) crypto.Language {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := getenv(name); v != "" {
			if strings.HasPrefix(v, "fr") {
				return crypto.French
			}
			return crypto.English
		}
	}
	return crypto.English
}

// story is the demo: three members in one program, who are connected over the loopback as three programs would be.
type story struct {
	w        io.Writer
	language crypto.Language
	start    time.Time

	claire, paul, emma *actor
	link               meet.Invite
}

// demo tells the story. It returns the exit status: not 0 if anything didn't happen as it should.
func demo(ctx context.Context, w io.Writer, l crypto.Language) int {
	ctx, cancel := context.WithTimeout(ctx, demoLimit)
	defer cancel()
	s := &story{w: w, language: l, start: time.Now()}
	defer s.close()
	for _, part := range []func(context.Context) error{s.begin, s.send, s.compare, s.listen, s.chat, s.promote, s.putOut, s.finish} {
		if err := part(ctx); err != nil {
			s.say("IT FAILED: %s", "ÉCHEC : %s", oneLine(err))
			return statusFailed
		}
	}
	return statusOver
}

func (s *story) close() {
	for _, a := range []*actor{s.claire, s.paul, s.emma} {
		if a != nil {
			a.close()
		}
	}
}

// say tells a sentence in the user's language.
func (s *story) say(english, french string, args ...any) {
	text := english
	if s.language == crypto.French {
		text = french
	}
	_, _ = fmt.Fprintf(s.w, "%5.1f s  %s\n", time.Since(s.start).Seconds(), fmt.Sprintf(text, args...))
}

func demoConfig(name string) meet.Config {
	return meet.Config{Name: name, Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}}
}

// begin: a meeting is created, two knock and are admitted.
func (s *story) begin(ctx context.Context) error {
	m, err := meet.Create(ctx, demoConfig("Claire"))
	if err != nil {
		return err
	}
	s.claire = newActor("Claire", m)
	s.say("Claire begins a meeting. There is no server: her program listens on this machine.",
		"Claire ouvre une réunion. Il n'y a pas de serveur : son programme écoute sur cette machine.")
	if s.link, err = m.Invite(ctx, meet.InviteOptions{}); err != nil {
		return err
	}
	s.say("She sends Paul and Emma this link, a secret: %.34s… (%d characters)",
		"Elle envoie à Paul et à Emma ce lien, un secret : %.34s… (%d caractères)", s.link, len(s.link.String()))
	if s.paul, err = s.knock(ctx, "Paul"); err != nil {
		return err
	}
	s.emma, err = s.knock(ctx, "Emma")
	return err
}

// knock lets somebody join and Claire admit them.
func (s *story) knock(ctx context.Context, name string) (*actor, error) {
	type result struct {
		m   *meet.Meeting
		err error
	}
	joined := make(chan result, 1)
	go func() {
		m, err := meet.Join(ctx, s.link, demoConfig(name))
		joined <- result{m, err}
	}()
	var knock meet.Knock
	err := s.claire.await(ctx, "a knock by "+name, func(e meet.Event) bool {
		k, ok := e.(meet.Knocked)
		knock = k.Knock
		return ok && knock.Name == name
	})
	if err != nil {
		return nil, err
	}
	s.say("%s knocks, with the key %s, and waits; the door tells nothing about who is inside. Claire admits.",
		"%s frappe, avec la clé %s, et attend ; la porte ne dit rien de qui est là. Claire fait entrer.", name, knock.Identity)
	if err := s.claire.m.Admit(ctx, knock.Identity); err != nil {
		return nil, err
	}
	r := <-joined
	if r.err != nil {
		return nil, r.err
	}
	return newActor(name, r.m), nil
}

// send: everybody sends a voice and a picture.
func (s *story) send(ctx context.Context) error {
	all := s.all()
	for i, a := range all {
		var files []playable
		for _, name := range []string{media.Speech()[i], media.Pictures()[i]} {
			source, err := mediafile.OpenFS(media.FS, name)
			if err != nil {
				return err
			}
			f, err := newPlayable(name, len(files), source)
			if err != nil {
				return err
			}
			files = append(files, f)
		}
		a.play(files)
	}
	s.say("All three send a voice and a moving picture. Each sender makes its own key and gives it to those on its list.",
		"Tous trois envoient une voix et une image animée. Chacun crée sa clé et la donne à ceux de sa liste.")
	for _, a := range all {
		err := a.await(ctx, "four tracks for "+a.name, func(meet.Event) bool { return len(a.tracks()) == 4 })
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *story) all() []*actor { return []*actor{s.claire, s.paul, s.emma} }

// compare: all three have the same words.
func (s *story) compare(ctx context.Context) error {
	s.say("Each program computes the words from its own list of members, once all agree:",
		"Chaque programme calcule les mots d'après sa propre liste des membres, dès que tous concordent :")
	var first crypto.Verification
	for i, a := range s.all() {
		v, err := a.words(ctx)
		if err != nil {
			return err
		}
		words := v.Words(s.language)
		s.say("   %-7s %s   (%s)", "   %-7s %s   (%s)", a.name, strings.Join(words[:], " "), v.Digits())
		if i == 0 {
			first = v
		} else if v != first {
			return errors.New("the words aren't the same for all")
		}
	}
	s.say("Read aloud, they prove that nobody sits in between and nobody invisible is there.",
		"Lus à voix haute, ils prouvent que personne ne s'interpose et que personne n'est caché.")
	return nil
}

// listen: packets are counted.
func (s *story) listen(ctx context.Context) error {
	s.say("They listen to each other for %.0f seconds.", "Ils s'écoutent pendant %.0f secondes.", demoListen.Seconds())
	before := map[*meet.RemoteTrack]meet.TrackStats{}
	for _, a := range s.all() {
		for _, t := range a.tracks() {
			before[t] = t.Stats()
		}
	}
	if err := wait(ctx, demoListen); err != nil {
		return err
	}
	for _, a := range s.all() {
		for _, t := range a.tracks() {
			now := t.Stats()
			packets, lost := now.Packets-before[t].Packets, now.Lost-before[t].Lost
			s.say("   %-7s opened %4d packets of %s from %s, %d lost", "   %-7s a ouvert %4d paquets de %s de %s, %d perdus",
				a.name, packets, s.kindOf(t), s.nameOf(t), lost)
			if packets == 0 || now.Undecryptable > 0 {
				return fmt.Errorf("%s should have opened all packets of %s: %d opened, %d not", a.name, s.nameOf(t), packets, now.Undecryptable)
			}
		}
	}
	return nil
}

func (s *story) kindOf(t *meet.RemoteTrack) string {
	kinds := map[crypto.Language][2]string{crypto.English: {"voice", "video"}, crypto.French: {"voix ", "vidéo"}}[s.language]
	if t.Kind() == webrtc.RTPCodecTypeAudio {
		return kinds[0]
	}
	return kinds[1]
}

func (s *story) nameOf(t *meet.RemoteTrack) string {
	for _, a := range s.all() {
		if a.key == t.MemberKey() {
			return a.name
		}
	}
	return "?"
}
