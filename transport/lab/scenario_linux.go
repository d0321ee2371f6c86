package main

func (l *lab) scenarios() []experiment { return nil }
