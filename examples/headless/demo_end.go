package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/huisclos/huisclos/meet"
)

// chat: what one writes the others read.
func (s *story) chat(ctx context.Context) error {
	const text = "Maître, le dossier est prêt."
	s.say("Paul writes: %q", "Paul écrit : « %s »", text)
	if err := s.paul.m.Say(ctx, text); err != nil {
		return err
	}
	for _, a := range []*actor{s.claire, s.emma} {
		err := a.await(ctx, "Paul's message for "+a.name, func(e meet.Event) bool {
			c, ok := e.(meet.Chat)
			return ok && c.Text == text && c.From.Name == "Paul"
		})
		if err != nil {
			return err
		}
	}
	s.say("Claire and Emma have read it, sealed and signed by Paul.", "Claire et Emma l'ont lu, scellé et signé par Paul.")
	return nil
}

// promote: Paul becomes a host.
func (s *story) promote(ctx context.Context) error {
	if err := s.claire.m.SetRole(ctx, s.paul.identity, meet.Host); err != nil {
		return err
	}
	for _, a := range []*actor{s.paul, s.emma} {
		err := a.await(ctx, "Paul's promotion for "+a.name, func(e meet.Event) bool {
			c, ok := e.(meet.MemberChanged)
			return ok && c.Member.Name == "Paul" && c.Member.Role == meet.Host
		})
		if err != nil {
			return err
		}
	}
	s.say("Claire makes Paul a host too: he may now admit and remove.", "Claire fait de Paul un hôte : il peut à présent faire entrer et exclure.")
	return nil
}

// putOut: Emma is removed. Her counters stop, the others' don't, and the link is dead.
func (s *story) putOut(ctx context.Context) error {
	generation := s.claire.generation()
	if err := s.paul.m.Remove(ctx, s.emma.identity, false); err != nil {
		return err
	}
	// Ended comes last: what her program had in hand at that moment is counted.
	err := s.emma.await(ctx, "the end of the meeting for Emma", func(e meet.Event) bool {
		_, ok := e.(meet.Ended)
		return ok
	})
	if err != nil {
		return err
	}
	var removed *meet.RemovedError
	if err := context.Cause(s.emma.m.Context()); !errors.As(err, &removed) || removed.ByName != "Paul" {
		return fmt.Errorf("the meeting ended for Emma for another reason: %w", err)
	}
	s.say("Paul removes Emma. Her program tells her: %q.", "Paul exclut Emma. Son programme le lui dit : « %s ».", removed)
	err = s.claire.await(ctx, "a new key of Claire's", func(meet.Event) bool { return s.claire.generation() > generation })
	if err != nil {
		return err
	}
	if err := s.watchCounters(ctx); err != nil {
		return err
	}
	m, err := meet.Join(ctx, s.link, demoConfig("Emma"))
	if err == nil {
		_ = m.Close()
		return errors.New("the old link still works")
	}
	var denied *meet.DeniedError
	if !errors.As(err, &denied) {
		return fmt.Errorf("the old link wasn't refused but failed: %w", err)
	}
	s.say("Emma tries the old link again: %q. The removal killed every older link.",
		"Emma essaie encore l'ancien lien : « %s ». L'exclusion a annulé tous les liens antérieurs.", denied)
	return nil
}

func (s *story) watchCounters(ctx context.Context) error {
	emma, claire := s.emma.packets(), s.claire.packets()
	if err := wait(ctx, demoAfter); err != nil {
		return err
	}
	moreEmma, moreClaire := s.emma.packets()-emma, s.claire.packets()-claire
	s.say("Claire and Paul changed their keys at once. In %.0f s since, Claire opened %d packets of Paul's; Emma, %d.",
		"Claire et Paul ont aussitôt changé de clé. En %.0f s, Claire a ouvert %d paquets de Paul ; Emma, %d.",
		demoAfter.Seconds(), moreClaire, moreEmma)
	s.say("(Her program stopped by itself. That one which goes on listening is blind too is shown by the tests of package meet.)",
		"(Son programme s'est arrêté de lui-même. Qu'un programme qui continue d'écouter est aveugle aussi, les tests du paquet meet le montrent.)")
	switch {
	case moreEmma != 0:
		return errors.New("still Emma opens packets")
	case moreClaire == 0:
		return errors.New("no packet of Paul reaches Claire any more")
	}
	return nil
}

// finish: the meeting is ended for all.
func (s *story) finish(ctx context.Context) error {
	if err := s.claire.m.End(ctx); err != nil {
		return err
	}
	select {
	case <-s.paul.m.Context().Done():
	case <-ctx.Done():
		return errors.New("the program of Paul didn't notice the end")
	}
	var ended *meet.EndedError
	if err := context.Cause(s.paul.m.Context()); !errors.As(err, &ended) {
		return fmt.Errorf("the meeting ended for Paul for another reason: %w", err)
	}
	s.say("Claire ends the meeting for everybody. Nothing is left of it, on no machine.",
		"Claire met fin à la réunion pour tous. Il n'en reste rien, sur aucune machine.")
	s.say("That was all, in %.0f seconds.", "C'est tout, en %.0f secondes.", time.Since(s.start).Seconds())
	return nil
}
