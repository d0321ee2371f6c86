package main

import (
	"context"
	"net/netip"
	"strings"
	"text/template"
	"time"

	"github.com/huisclos/huisclos/meet"
)

// invite makes a link and shows it.
func (s *session) invite(ctx context.Context, r invite) (any, error) {
	o := meet.InviteOptions{}
	if r.Expires != 0 {
		if o.Expiry = time.UnixMilli(r.Expires); !o.Expiry.After(time.Now()) {
			return nil, fail(linkExpired)
		}
	}
	link, err := s.meeting.Invite(ctx, o)
	if err != nil {
		return nil, err
	}
	a := s.agent
	a.update(func(st *state) {
		if a.session == s {
			st.Invite = invitationOf(link, st.Settings.Name, now())
		}
	}, "invite")
	return nil, nil
}

func invitationOf(link meet.Invite, name string, created int64) *invitation {
	out := &invitation{
		Link: link.String(), Created: created, Expires: milliseconds(link.Expiry()), Text: map[string]invitationText{},
		Reach: reach{Scope: reachName(link.Reach()), Router: "not-asked", Addresses: []reachAddress{}},
	}
	for _, ip := range link.Addresses() {
		out.Reach.Addresses = append(out.Reach.Addresses, addressOf(ip))
	}
	for language, text := range invitationTexts {
		var body strings.Builder
		_ = text.body.Execute(&body, struct{ Name, Link string }{name, out.Link})
		out.Text[language] = invitationText{Subject: text.subject, Body: body.String()}
	}
	return out
}

func addressOf(ip netip.Addr) reachAddress {
	return reachAddress{Address: ip.String(), Scope: reachName(meet.ReachOf(ip)), Via: "interface"}
}

func reachName(r meet.Reach) string {
	if r == meet.ReachNowhere {
		return "unknown"
	}
	return r.String()
}

// invitationTexts are what is sent to a correspondent who has never heard of any of this.
var invitationTexts = map[string]struct {
	subject string
	body    *template.Template
}{
	"fr": {"Invitation à une réunion confidentielle", template.Must(template.New("").Parse(`Bonjour,

{{.Name}} vous invite à une réunion chiffrée de bout en bout. Aucun serveur n'y participe : seuls les ordinateurs des participants se parlent. Il vous faut un ordinateur (Windows, macOS ou Linux) avec une caméra et un microphone ; un téléphone ne suffit pas.

1. Installez et ouvrez le programme huisclos.
2. Copiez le lien ci-dessous et collez-le dans « Rejoindre une réunion ».
3. Attendez qu'on vous fasse entrer. Au début, nous comparerons six mots à voix haute pour être sûrs que personne n'écoute.

{{.Link}}

Ne transmettez pas ce lien : il permet de frapper à la porte, et contient l'adresse réseau de l'expéditeur.
`))},
	"en": {"Invitation to a confidential meeting", template.Must(template.New("").Parse(`Hello,

{{.Name}} invites you to an end-to-end encrypted meeting. No server takes part: only the participants' computers talk to each other. You need a computer (Windows, macOS or Linux) with a camera and a microphone; a phone won't do.

1. Install and open the program huisclos.
2. Copy the link below and paste it under "Join a meeting".
3. Wait to be let in. At the beginning we compare six words aloud, to be sure that nobody listens.

{{.Link}}

Don't pass this link on: it lets people knock at the door, and holds the sender's network address.
`))},
}
