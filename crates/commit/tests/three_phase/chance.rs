//! Picks one history by chance, for worlds that are too large to explore.

use stateright::Chooser;

use crate::{
    cast::Places,
    trial::{Cause, History, Trial, Turn},
    word::{Letter, Site, Word},
};

/// Cuts the sites in two, here and there, and lets letters arrive more often than anything fails:
/// otherwise nobody would ever commit.
#[derive(Debug, Clone)]
pub(crate) struct Chance;

/// What chance remembers: the cut that it keeps to for a while.
#[derive(Debug)]
pub(crate) struct Dice {
    seed: u64,
    apart: Places,
}

impl Dice {
    /// SplitMix64: the same numbers for the same seed, whatever else is updated.
    fn below(&mut self, bound: usize) -> usize {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % bound
    }
}

impl<S: Site> Chooser<Trial<S>> for Chance {
    type State = Dice;

    fn new_state(&self, seed: u64) -> Dice {
        Dice { seed, apart: Places::NONE }
    }

    fn choose_initial_state(&self, _: &mut Dice, _: &[History<S>]) -> usize {
        0
    }

    fn choose_action(&self, dice: &mut Dice, history: &History<S>, turns: &[Turn]) -> usize {
        if dice.below(TURNS_TO_A_CUT) == 0 {
            let cuts = Places::parts(history.sites.len()).chain([Places::NONE; CALM_CUTS]);
            let cuts: Vec<Places> = cuts.collect();
            dice.apart = cuts[dice.below(cuts.len())];
        }
        let side = |place| dice.apart.contains(place);
        let passes = |letter: Letter| match letter.word {
            // It does not say who sent it: anybody who knows may have.
            Word::Decide(_) => Places::first(history.sites.len())
                .iter()
                .any(|place| side(place) == side(letter.to) && history.is_decided(place)),
            Word::Prepare
            | Word::Yes
            | Word::No
            | Word::Predecide(_)
            | Word::Ack(_)
            | Word::Ask(_)
            | Word::Report { .. } => side(letter.from) == side(letter.to),
        };
        let (mut letters, mut faults) = (Vec::new(), Vec::new());
        for (at, turn) in turns.iter().enumerate() {
            match turn {
                Turn::Whole(Cause::Letter(letter)) if passes(*letter) => letters.push(at),
                Turn::Whole(Cause::Letter(_)) => {}
                Turn::Whole(_) | Turn::Cut { .. } | Turn::Crashes { .. } | Turn::Parted { .. } => {
                    faults.push(at);
                }
            }
        }
        let fails = letters.is_empty() || dice.below(LETTERS_TO_A_FAULT) == 0;
        let likely = if fails && !faults.is_empty() { faults } else { letters };
        match likely.as_slice() {
            [] => dice.below(turns.len()),
            likely => likely[dice.below(likely.len())],
        }
    }
}

const LETTERS_TO_A_FAULT: usize = 8;
const TURNS_TO_A_CUT: usize = 16;
/// How often nobody is apart, compared with any one cut.
const CALM_CUTS: usize = 16;
