package main

import (
	"context"
	"errors"
	"fmt"

	"safebox/image/output"
	"safebox/verifier/configuration"
)

// kept is a machine that stays up while the story goes on around it.
type kept struct {
	name  string
	event hostEvent // what the agent said when it had started, with the URL
	told  *told
	leave context.CancelFunc // lets it end
	ended chan error
}

// keepMachine boots the appliance from its disk and returns when it is up. It
// gets a configuration, which the guest measures: under plain emulation on busy
// cores the built-in minute for a run may be short.
func (d *demo) keepMachine() error {
	document := configuration.Default()
	document.Worker.Wall = 600
	encoded, err := document.Encode()
	if err != nil {
		return err
	}
	if err := output.File(d.path("config.json"), whole(encoded)); err != nil {
		return err
	}
	wait, leave := context.WithCancel(d.ctx)
	k := &kept{name: "disk", leave: leave, ended: make(chan error, 1)}
	up := make(chan hostEvent, 1)
	go func() {
		o, err := d.launch(d.ctx, machine{
			name: k.name, folder: d.path("release"), boot: "esp", shards: d.path("shards"), config: d.path("config.json"),
			up: func(e hostEvent) {
				up <- e
				<-wait.Done()
			},
		})
		if err == nil && o.report == nil {
			err = fmt.Errorf("%s: the guest powered itself off: %v", k.name, o.refusals)
		}
		k.ended <- err
	}()
	select {
	case k.event = <-up:
	case err := <-k.ended:
		leave()
		return errors.Join(err, fmt.Errorf("%s: ended before it was needed", k.name))
	}
	report, err := d.fetchReport(d.ctx, k.name, k.event.URL)
	if err != nil {
		leave()
		return errors.Join(err, <-k.ended)
	}
	k.told = &told{report: report}
	d.kept = k
	return nil
}

// endMachine ends the machine, if it is up, and gives its failure.
func (d *demo) endMachine() error {
	if d.kept == nil {
		return nil
	}
	k := d.kept
	d.kept = nil
	k.leave()
	return <-k.ended
}
