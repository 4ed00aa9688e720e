//! What goes wrong: machines, clocks, stores, networks and processes, one fault at a time, at
//! random.

use super::Flaw;
use super::simulation::{Event, World};

impl World {
    /// Lets one thing go wrong, and the next one later.
    pub(crate) fn fault(&mut self) {
        if self.is_calm {
            return;
        }
        let mean = self.scenario.fault_every;
        let again = self.random.between(mean / 4, mean * 2);
        self.after(again, Event::Fault);
        if self.flaw() == Some(Flaw::ClockFollowsTheWall) {
            return self.jump_clock();
        }
        match self.random.below(15) {
            0 => self.crash_server(),
            1 => self.pause_server(),
            2 => self.store_goes(true),
            3 => self.store_goes(false),
            4 => self.store_is_full(),
            5 => self.answers_get_lost(),
            6 => self.stall_commit(),
            7 => self.jump_clock(),
            8 => self.feed_goes_deaf(),
            9 => self.partition(),
            10 => self.network_gets_bad(),
            11 => self.pause_process(),
            12 => self.crash_process(),
            13 => self.leave(),
            _ => self.add_process(),
        }
    }

    fn any_server(&mut self) -> usize {
        self.random.index(self.servers.len())
    }

    fn crash_server(&mut self) {
        let server = self.any_server();
        let gracefully = self.random.chance(250);
        self.shared.count(if gracefully { "server stopped" } else { "server killed" });
        self.say(format_args!("server {server} ends, gracefully: {gracefully}"));
        self.stop_server(server, gracefully);
        let back = self.random.between(50, 8_000);
        self.after(back, Event::Start { server });
    }

    fn pause_server(&mut self) {
        let server = self.any_server();
        let until = self.now().saturating_add(self.random.between(300, 12_000));
        self.shared.trouble(server, |trouble| trouble.paused_until = until);
        self.shared.count("server paused");
        self.say(format_args!("server {server} stands still until {until}"));
    }

    fn store_goes(&mut self, for_all: bool) {
        let until = self.now().saturating_add(self.random.between(200, 9_000));
        let chosen = self.any_server();
        for server in 0..self.servers.len() {
            if for_all || server == chosen {
                self.shared.trouble(server, |trouble| trouble.down_until = until);
            }
        }
        self.shared.count(if for_all { "store down" } else { "server cut from store" });
        self.say(format_args!(
            "the store is gone for server {chosen} (all: {for_all}) until {until}"
        ));
    }

    fn store_is_full(&mut self) {
        let until = self.now().saturating_add(self.random.between(500, 15_000));
        for server in 0..self.servers.len() {
            self.shared.trouble(server, |trouble| trouble.full_until = until);
        }
        self.shared.count("store full");
        self.say(format_args!("the store is full until {until}"));
    }

    fn answers_get_lost(&mut self) {
        let server = self.any_server();
        let until = self.now().saturating_add(self.random.between(500, 10_000));
        let flaky = self.random.chance(300);
        self.shared.trouble(server, |trouble| {
            trouble.unknown_until = until;
            if flaky {
                trouble.flaky_until = until;
            }
        });
        self.shared.count("answers of the store get lost");
        self.say(format_args!("server {server} loses answers of the store until {until}"));
    }

    fn stall_commit(&mut self) {
        let server = self.any_server();
        let millis = self.random.between(500, 9_000);
        self.shared.trouble(server, |trouble| trouble.stall = Some(millis));
        self.say(format_args!("the next commit of server {server} takes {millis}"));
    }

    fn jump_clock(&mut self) {
        let server = self.any_server();
        let far = i64::try_from(self.random.between(100, 7_200_000)).unwrap_or(0);
        let millis = match self.flaw() {
            // Small steps forward: a large one ends the lease, and counts for nothing.
            Some(Flaw::ClockFollowsTheWall) => 1_500,
            _ if self.random.chance(500) => far,
            _ => -far,
        };
        if let Some(one) = self.servers.get(server) {
            one.clock.jump(millis);
        }
        self.shared.count("wall clock jumped");
        self.say(format_args!("the clock of server {server} jumps by {millis}"));
    }

    fn feed_goes_deaf(&mut self) {
        let server = self.any_server();
        let until = self.now().saturating_add(self.random.between(500, 8_000));
        self.shared.trouble(server, |trouble| trouble.deaf_until = until);
        self.shared.count("feed of the store down");
        self.say(format_args!("server {server} cannot follow the store until {until}"));
    }

    fn partition(&mut self) {
        let running = self.running();
        let Some(process) = self.random.pick(&running).copied() else { return };
        let until = self.now().saturating_add(self.random.between(500, 25_000));
        let from_all = self.random.chance(650);
        let chosen = self.any_server();
        for server in 0..self.servers.len() {
            if from_all || server == chosen {
                self.blocked.insert((process, server), until);
                let notices = self.random.between(100, 4_000);
                self.after(notices, Event::FeedEnds { process, server });
            }
        }
        self.shared.count("partition");
        self.say(format_args!("p{process} is cut off until {until} (from all: {from_all})"));
    }

    fn network_gets_bad(&mut self) {
        let millis = self.random.between(1_000, 12_000);
        self.network_bad_until = self.now().saturating_add(millis);
        self.shared.count("network bad");
        self.say(format_args!("the network is bad for {millis}"));
    }

    fn pause_process(&mut self) {
        let running = self.running();
        let Some(number) = self.random.pick(&running).copied() else { return };
        let until = self.now().saturating_add(self.random.between(300, 30_000));
        if let Some(process) = self.processes.get_mut(number) {
            process.paused_until = until;
        }
        self.shared.count("process paused");
        self.say(format_args!("p{number} is stopped until {until}"));
        self.step_soon(number, 0);
    }

    fn crash_process(&mut self) {
        let running = self.running();
        let Some(number) = self.random.pick(&running).copied() else { return };
        let service = self.end_process(number);
        self.shared.count("process killed");
        self.say(format_args!("p{number} is killed"));
        let back = self.random.between(100, 20_000);
        if let Some(service) = service {
            self.after(back, Event::Join { service });
        }
    }

    /// A process says goodbye and ends, unless something that protects is still in progress.
    fn leave(&mut self) {
        let running = self.running();
        let Some(number) = self.random.pick(&running).copied() else { return };
        let service = self.say_goodbye(number);
        self.shared.count("process left");
        self.say(format_args!("p{number} leaves"));
        if let Some(service) = service {
            let back = self.random.between(100, 10_000);
            self.after(back, Event::Join { service });
        }
    }

    fn add_process(&mut self) {
        if self.running().len() < 8 {
            let service = self.random.index(self.scenario.services.len());
            self.shared.count("process joined");
            self.join(service);
        }
    }

    /// Ends a process without a word. Returns its service.
    pub(crate) fn end_process(&mut self, number: usize) -> Option<usize> {
        let process = self.processes.get_mut(number)?;
        process.alive = false;
        let name = process.consumer.as_str();
        self.scenario.services.iter().position(|service| service.name == name)
    }
}
