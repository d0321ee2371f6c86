package main

import (
	"context"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

// invite makes a link and shows it.
func (s *session) invite(ctx context.Context, r invite) (any, error) {
	o := meet.InviteOptions{NoAddresses: r.NoAddresses}
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
			st.Invite = invitationOf(link, st.Settings.Name, now(), r.NoAddresses, s.found, s.hostOf)
		}
	}, "invite")
	return nil, nil
}

// hostOf is the name of the host whose door it is, empty for this member's own. agent.mu is held.
func (s *session) hostOf(key crypto.MeetingKey) string {
	for _, m := range s.members {
		if m.Key == key && !m.Self {
			return cleanName(m.Name)
		}
	}
	return ""
}

// invitationOf is what is shown of a link and sent with it. Found are the ways it can be found by if it names no address.
func invitationOf(link meet.Invite, name string, created int64, bare bool, found []string, hostOf func(crypto.MeetingKey) string) *invitation {
	out := &invitation{
		Link: link.String(), Created: created, Expires: milliseconds(link.Expiry()), Text: map[string]invitationText{},
		Reach: reach{Scope: reachName(link.Reach()), Router: routerName(link.Router()), Addresses: []reachAddress{}},
	}
	for _, at := range link.Reaches() {
		shown := reachAddress{Address: at.Host, Scope: reachName(at.Reach), Via: string(at.By), Whose: hostOf(at.Member)}
		if !slices.Contains(out.Reach.Addresses, shown) {
			out.Reach.Addresses = append(out.Reach.Addresses, shown)
		}
	}
	if bare {
		out.Reach.Scope = "found"
	}
	relayed := !bare && !slices.ContainsFunc(out.Reach.Addresses, func(a reachAddress) bool { return a.Via != string(meet.ByRelay) })
	for language, text := range invitationTexts {
		var body strings.Builder
		_ = text.body.Execute(&body, struct {
			Name, Link           string
			Relayed, Bare        bool
			OnLAN, Public, Other bool // how it is found
		}{
			name, out.Link, relayed, bare,
			bare && slices.Contains(found, "local-network"), bare && slices.Contains(found, "dht-public"), bare && slices.Contains(found, "dht-own"),
		})
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

{{.Name}} vous invite à une réunion chiffrée de bout en bout. {{if .Relayed}}Un relais de l'expéditeur transmet les données chiffrées, sans pouvoir les lire.{{else}}Aucun serveur n'y participe : seuls les ordinateurs des participants se parlent.{{end}} Il vous faut un ordinateur (Windows, macOS ou Linux), de préférence avec une caméra et un microphone ; un téléphone ne suffit pas.

1. Installez et ouvrez le programme Huis clos. Si vous ne l'avez pas, demandez-le-moi avec son mode d'emploi.
{{if .Bare}}   Ce lien ne contient pas d'adresse. Avant de rejoindre la réunion, activez dans « Réglages », « Réseau » :{{if .OnLAN}} « Se trouver sur le réseau local » (si nous sommes dans les mêmes locaux){{end}}{{if and .OnLAN (or .Public .Other)}} ou{{end}}{{if .Public}} « Le réseau public libp2p »{{end}}{{if .Other}} l'annuaire privé dont je vous donne les adresses à part{{end}}.
{{end}}2. Copiez le lien ci-dessous et collez-le dans « Rejoindre une réunion ».
3. Attendez qu'on vous fasse entrer. Au début, nous comparerons six mots à voix haute pour être sûrs que personne n'écoute.

{{.Link}}

Ne transmettez pas ce lien : il permet de frapper à la porte{{if .Relayed}}, et contient l'adresse du relais de l'expéditeur{{else if not .Bare}}, et contient l'adresse réseau de l'expéditeur{{end}}.
`))},
	"en": {"Invitation to a confidential meeting", template.Must(template.New("").Parse(`Hello,

{{.Name}} invites you to an end-to-end encrypted meeting. {{if .Relayed}}A relay of the sender's passes on the encrypted data, and cannot read it.{{else}}No server takes part: only the participants' computers talk to each other.{{end}} You need a computer (Windows, macOS or Linux), preferably with a camera and a microphone; a phone won't do.

1. Install and open the program Huis clos. If you don't have it, ask me for it and its instructions.
{{if .Bare}}   This link holds no address. Before you join, switch on under "Settings", "Network":{{if .OnLAN}} "Find each other on the local network" (if we are on the same premises){{end}}{{if and .OnLAN (or .Public .Other)}} or{{end}}{{if .Public}} "The public libp2p network"{{end}}{{if .Other}} the private directory whose addresses I give you separately{{end}}.
{{end}}2. Copy the link below and paste it under "Join a meeting".
3. Wait to be let in. At the beginning we compare six words aloud, to be sure that nobody listens.

{{.Link}}

Don't pass this link on: it lets people knock at the door{{if .Relayed}}, and holds the address of the sender's relay{{else if not .Bare}}, and holds the sender's network address{{end}}.
`))},
}
