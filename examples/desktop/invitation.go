package main

import (
	"context"
	"slices"
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
		Reach: reach{Scope: reachName(link.Reach()), Router: routerName(link.Router()), Addresses: []reachAddress{}},
	}
	for _, at := range link.Reaches() {
		shown := reachAddress{Address: at.Address.Addr().String(), Scope: reachName(at.Reach), Via: string(at.By)}
		if !slices.Contains(out.Reach.Addresses, shown) {
			out.Reach.Addresses = append(out.Reach.Addresses, shown)
		}
	}
	for language, text := range invitationTexts {
		var body strings.Builder
		_ = text.body.Execute(&body, struct{ Name, Link string }{name, out.Link})
		out.Text[language] = invitationText{Subject: text.subject, Body: body.String()}
	}
	return out
}

// routerWait is how long the router has to answer; UPnP may take some seconds.
const routerWait = 15 * time.Second

// askRouter asks the person's own router, since they want it, and says what became of that.
func (s *session) askRouter(ctx context.Context, _ reachAskRouter) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, routerWait)
	defer cancel()
	answer, err := s.meeting.AskRouter(ctx)
	if err != nil && s.meeting.Context().Err() != nil {
		return nil, err
	}
	if answer == meet.RouterNotAsked {
		answer = meet.RouterSilent
	}
	a := s.agent
	a.update(func(st *state) {
		if a.session == s && st.Invite != nil {
			i := *st.Invite
			i.Reach.Router = routerName(answer)
			st.Invite = &i
		}
	}, "invite")
	return nil, nil
}

func routerName(r meet.Router) string {
	switch r {
	case meet.RouterMapped:
		return "mapped"
	case meet.RouterDoubleNAT:
		return "double-nat"
	case meet.RouterRefused:
		return "refused"
	case meet.RouterNotAsked:
		return "not-asked"
	}
	return "none"
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
