//! Two places in less time than one can travel: somebody else has the password.
//!
//! Where an address is, a table says that the organisation keeps: its sites and its VPN, and whatever else it knows.
//! Addresses that are in no line of it are nowhere, and say nothing.

use crate::audit::detect::{Access, Detector, Finding, Scene, by_agent, finding};
use std::net::IpAddr;

/// Nobody is faster, in kilometres an hour.
const FASTEST: f64 = 900.0;
/// Nearer than that is the same place.
const NEAR: f64 = 100.0;
const EARTH_RADIUS: f64 = 6371.0;

/// Where addresses are.
#[derive(Clone, Debug, Default)]
pub struct Places {
    networks: Vec<Network>,
}

/// A network at a place.
#[derive(Clone, Debug)]
struct Network {
    address: IpAddr,
    bits: u8,
    latitude: f64,
    longitude: f64,
}

impl Places {
    /// Reads a table: `10.1.0.0/16 52.52 13.40` in each line, latitude and longitude in degrees; `#` begins a remark.
    ///
    /// # Errors
    /// A line is something else: its number.
    pub fn parse(text: &str) -> Result<Places, usize> {
        let lines = text.lines().enumerate().filter(|(_, line)| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#')
        });
        let networks: Result<Vec<Network>, usize> =
            lines.map(|(number, line)| network(line).ok_or(number + 1)).collect();
        Ok(Places { networks: networks? })
    }

    /// Where an address is, by the narrowest network that holds it.
    fn of(&self, address: IpAddr) -> Option<&Network> {
        self.networks.iter().filter(|it| it.holds(address)).max_by_key(|it| it.bits)
    }
}

impl Network {
    fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.bits.min(32));
                own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.bits.min(128));
                own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            _ => false,
        }
    }

    /// Along the great circle, in kilometres.
    fn distance(&self, other: &Network) -> f64 {
        let (one, two) = (self.latitude.to_radians(), other.latitude.to_radians());
        let turn = (other.longitude - self.longitude).to_radians();
        let half = ((two - one) / 2.0).sin().powi(2) + one.cos() * two.cos() * (turn / 2.0).sin().powi(2);
        2.0 * EARTH_RADIUS * half.sqrt().min(1.0).asin()
    }
}

fn network(line: &str) -> Option<Network> {
    let mut words = line.split_whitespace();
    let (address, bits) = words.next()?.split_once('/')?;
    let number = |word: Option<&str>, most: f64| {
        word.and_then(|it| it.parse::<f64>().ok()).filter(|it| it.abs() <= most)
    };
    Some(Network {
        address: address.parse().ok()?,
        bits: bits.parse().ok().filter(|it| *it <= 128)?,
        latitude: number(words.next(), 90.0)?,
        longitude: number(words.next(), 180.0)?,
    })
}

pub(super) fn detect(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    let located = |it: &Access| {
        let address = it.network.as_deref()?.parse().ok()?;
        scene.places.of(address)
    };
    let with_person = |it: &&Access| it.is_by_a_person() || it.agent.starts_with("Patient/");
    for (agent, accesses) in by_agent(scene.window.iter().filter(with_person)) {
        let placed: Vec<(&Access, &Network)> =
            accesses.iter().filter_map(|it| Some((*it, located(it)?))).collect();
        let mut day = None;
        for pair in placed.windows(2) {
            let [(one, here), (two, there)] = pair else { continue };
            let kilometres = here.distance(there);
            let minutes = (two.at - one.at).max(0) / 60_000_000;
            let hours = f64::from(u32::try_from(minutes).unwrap_or(u32::MAX)) / 60.0;
            if kilometres < NEAR || kilometres <= hours * FASTEST || day == Some(one.day()) {
                continue;
            }
            day = Some(one.day());
            let reason = format!("{kilometres:.0} km apart within {minutes} minutes");
            let mut found = finding(Detector::Travel, agent, &[*one, *two], reason);
            found.patients.clear();
            findings.push(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_where_addresses_are() {
        let places =
            Places::parse("# sites\n10.1.0.0/16 52.52 13.40\n10.1.7.0/24 48.14 11.58\n::1/128 0 0\n")
                .unwrap();
        let at = |address: &str| places.of(address.parse().unwrap());
        let (berlin, munich) = (at("10.1.2.3").unwrap(), at("10.1.7.3").unwrap());
        assert!((berlin.distance(munich) - 504.0).abs() < 5.0, "{}", berlin.distance(munich));
        assert!(at("10.2.0.1").is_none() && at("::1").is_some() && at("::2").is_none());
        for wrong in ["10.1.0.0 1 2", "10.1.0.0/16 91 2", "10.1.0.0/16 1", "x/8 1 2", "10.0.0.0/129 1 2"] {
            assert_eq!(Places::parse(wrong).err(), Some(1), "{wrong}");
        }
        let anywhere = Places::parse("0.0.0.0/0 1 2").unwrap();
        assert!(anywhere.of("9.9.9.9".parse().unwrap()).is_some());
    }
}
