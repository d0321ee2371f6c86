package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/huisclos/huisclos/meet"
)

// command does one line of stdin. What takes long is done beside, so that leave always works.
func (p *participant) command(line string) {
	line = strings.TrimSpace(line)
	name, argument, _ := strings.Cut(line, " ")
	argument = strings.TrimSpace(argument)
	switch name {
	case "": // a mere Return
		return
	case "leave":
		p.leave()
		return
	case "words":
		p.wordsAsked.Store(true)
		p.askWords()
		return
	case "send": // reads all of it first
		p.spawn(func() {
			if err := p.send(p.m.Context(), argument); err != nil && p.m.Context().Err() == nil {
				p.refuse(name, err)
			}
		})
		return
	case "verify":
		p.spawn(func() { p.do(name, argument, p.verifyWith) })
		return
	}
	do, known := map[string]func(context.Context, string) error{
		"admit":   p.admit,
		"deny":    p.deny,
		"remove":  func(ctx context.Context, who string) error { return p.remove(ctx, who, false) },
		"ban":     func(ctx context.Context, who string) error { return p.remove(ctx, who, true) },
		"lock":    bare(p.m.Lock),
		"unlock":  bare(p.m.Unlock),
		"role":    p.role,
		"invite":  bare(p.invite),
		"reply":   p.m.Reply,
		"say":     p.say,
		"tell":    p.tell,
		"react":   p.react,
		"hand":    p.raiseHand,
		"askmute": p.askMute,
		"record":  p.record,
		"members": bare(p.showMembers),
		"stats":   bare(p.showStats),
		"links":   bare(p.showLinks),
		"end":     bare(p.m.End),
		"accept":  p.accept,
		"refuse":  p.refuseFile,
		"pause":   p.onTransfer((*meet.FileTransfer).Pause),
		"resume":  p.onTransfer((*meet.FileTransfer).Resume),
		"cancel":  p.onTransfer((*meet.FileTransfer).Cancel),

		"attendance": p.attendance,
		"exposure":   p.exposure,
		"mark":       p.mark,
		"unmark":     p.unmark,
		"contacts":   bare(p.showContacts),
	}[name]
	if !known {
		p.refuse(name, errors.New("no such command: there are admit, deny, remove, ban, lock, unlock, role, invite, reply, verify, mark, unmark, contacts, say, tell, react, hand, askmute, record, send, accept, refuse, pause, resume, cancel, members, words, stats, links, attendance, exposure, leave and end"))
		return
	}
	p.do(name, argument, do)
}

func (p *participant) do(name, argument string, f func(context.Context, string) error) {
	ctx, cancel := context.WithTimeout(p.m.Context(), commandTimeout)
	defer cancel()
	if err := f(ctx, argument); err != nil && p.m.Context().Err() == nil {
		p.refuse(name, err)
	}
}

// bare is a command without an argument.
func bare(f func(context.Context) error) func(context.Context, string) error {
	return func(ctx context.Context, argument string) error {
		if argument != "" {
			return fmt.Errorf("%q is too much: nothing follows this command", argument)
		}
		return f(ctx)
	}
}

var errWho = errors.New("say who: a name or the beginning of a key")

// knocker is the one person at the door who is meant.
func (p *participant) knocker(ctx context.Context, who string) (person, error) {
	if who == "" {
		return person{}, errWho
	}
	knocks, err := p.m.Knocks(ctx)
	if err != nil {
		return person{}, err
	}
	var list []person
	for _, k := range knocks {
		if who := (person{k.Identity, k.Name}); !slices.Contains(list, who) { // at two doors
			list = append(list, who)
		}
	}
	return find(who, list)
}

// somebody is the one person in the meeting who is meant.
func (p *participant) somebody(ctx context.Context, who string) (person, error) {
	if who == "" {
		return person{}, errWho
	}
	members, err := p.m.Members(ctx)
	if err != nil {
		return person{}, err
	}
	return find(who, people(members))
}

func (p *participant) admit(ctx context.Context, who string) error {
	k, err := p.knocker(ctx, who)
	if err != nil {
		return err
	}
	return p.m.Admit(ctx, k.key)
}

func (p *participant) deny(ctx context.Context, who string) error {
	k, err := p.knocker(ctx, who)
	if err != nil {
		return err
	}
	return p.m.Deny(ctx, k.key)
}

func (p *participant) remove(ctx context.Context, who string, ban bool) error {
	m, err := p.somebody(ctx, who)
	if err != nil {
		return err
	}
	return p.m.Remove(ctx, m.key, ban)
}

func (p *participant) role(ctx context.Context, argument string) error {
	i := strings.LastIndex(argument, " ")
	role, ok := parseRole(argument[i+1:])
	if i < 0 || !ok {
		return errors.New("say who and what: role WHO host|member|viewer")
	}
	m, err := p.somebody(ctx, strings.TrimSpace(argument[:i]))
	if err != nil {
		return err
	}
	return p.m.SetRole(ctx, m.key, role)
}

func (p *participant) invite(ctx context.Context) error {
	link, err := p.m.Invite(ctx, meet.InviteOptions{NoAddresses: p.noAddresses})
	if err != nil {
		return err
	}
	p.out.event("invite", inviteData{link.String()}, "%s", link.String())
	showReach(link, p.out)
	return nil
}

func (p *participant) say(ctx context.Context, text string) error {
	if text == "" {
		return errors.New("say what?")
	}
	return p.m.Say(ctx, text)
}

func (p *participant) verifyWith(ctx context.Context, who string) error {
	m, err := p.somebody(ctx, who)
	if err != nil {
		return err
	}
	v, err := p.m.Verify(ctx, m.key)
	if err != nil {
		return err
	}
	p.verify(m.name, m.key, v)
	return nil
}

func (p *participant) showMembers(ctx context.Context) error {
	members, err := p.m.Members(ctx)
	if err != nil {
		return err
	}
	list := membersOf(members)
	p.out.event("members", membersData{list}, "%s", describeAll(list))
	return nil
}

func (p *participant) showStats(ctx context.Context) error {
	p.learnStats(ctx)
	s := p.tracks.stats(time.Now())
	p.out.event("stats", s, "%v", s)
	return nil
}
