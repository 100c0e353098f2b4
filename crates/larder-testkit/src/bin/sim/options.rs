//! What the command line asks for.

use larder_testkit::sim::{Beyond, COURSES, Course, Rule, Shared};

pub(crate) const USAGE: &str = "\
usage: cargo xtask sim [--seeds N] [--from S] [--setup NAME] [--store NAME] [--mutant NAME]
       cargo xtask sim --seed S [--setup NAME] [--store NAME] [--mutant NAME]
       cargo xtask sim --mutants [--seeds N] [--store NAME]
       cargo xtask sim --ladder [--seeds N]
       cargo xtask sim --sum FILE

    --seeds N        how many seeds of each setup; 1000 unless told
    --from S         the first of them; 0 unless told
    --setup NAME     races, calm, stormy, chaotic,
                     deaths, refreshing, together, or wide (meshes only); all of them
                     unless told
    --store NAME     embedded, redis (the simulated one), mesh, or learned (a mesh
                     whose members nobody has listed); all of them unless told
    --threads N      how many seeds run at the same time; as many as there are processors unless told
    --lines N        prints a line with all sums after every N seeds, instead of a table
    --sum FILE       adds up such lines, and prints the table
    --rewinds        servers also return from old dumps and are replaced by lagging replicas
    --repeats        servers also forget their versions while their clock repeats itself
    --seed S         one seed, with a line for everything that happens
    --mutant NAME    takes a rule out of the engine, or of the scripts of the simulated server
    --mutants        takes out one rule after the other; each must be noticed
    --ladder         builds the engine up from nothing, one group of rules after the other
";

pub(crate) struct Options {
    pub(crate) seeds: u64,
    pub(crate) from: u64,
    pub(crate) seed: Option<u64>,
    pub(crate) course: Option<Course>,
    pub(crate) store: Option<Shared>,
    pub(crate) threads: usize,
    pub(crate) lines: Option<u64>,
    pub(crate) sum: Option<String>,
    pub(crate) mutant: Option<Rule>,
    pub(crate) mutants: bool,
    pub(crate) ladder: bool,
    pub(crate) beyond: Beyond,
}

impl Options {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            seeds: 1_000,
            from: 0,
            seed: None,
            course: None,
            store: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            lines: None,
            sum: None,
            mutant: None,
            mutants: false,
            ladder: false,
            beyond: Beyond::default(),
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--mutants" => options.mutants = true,
                "--ladder" => options.ladder = true,
                "--rewinds" => options.beyond.rewinds = true,
                "--repeats" => options.beyond.repeats = true,
                _ => {
                    let value = words.next().ok_or(format!("{word} needs a value"))?;
                    options.set(&word, value)?;
                }
            }
        }
        Ok(options)
    }

    fn set(&mut self, word: &str, value: String) -> Result<(), String> {
        let number = || {
            let number = value.parse::<u64>();
            number.map_err(|_| format!("{word}: {value} is no number"))
        };
        match word {
            "--seeds" => self.seeds = number()?,
            "--from" => self.from = number()?,
            "--seed" => self.seed = Some(number()?),
            "--threads" => self.threads = usize::try_from(number()?).unwrap_or(1).max(1),
            "--lines" => self.lines = Some(number()?.max(1)),
            "--sum" => self.sum = Some(value),
            "--setup" => {
                let course = Course::named(&value);
                self.course = Some(course.ok_or(format!("there is no setup {value}"))?);
            }
            "--store" => {
                let store = Shared::named(&value);
                self.store = Some(store.ok_or(format!("there is no store {value}"))?);
            }
            "--mutant" => {
                let rule = Rule::named(&value);
                self.mutant = Some(rule.ok_or(format!("there is no mutant {value}"))?);
            }
            _ => return Err(format!("unknown option {word}")),
        }
        Ok(())
    }

    /// What is to be run: every setup over every store, unless told.
    pub(crate) fn courses(&self) -> Vec<Course> {
        let courses = self.course.map_or(COURSES.to_vec(), |one| vec![one]);
        let stores = self.store.map_or(Shared::ALL.to_vec(), |one| vec![one]);
        let over = |store| {
            let courses = courses.iter().filter(move |course| course.is_for(store));
            courses.map(move |course| course.on(store))
        };
        let all = stores.into_iter().flat_map(over);
        all.map(|course| course.with(self.beyond)).collect()
    }

    /// The command line that runs one seed again.
    pub(crate) fn again(&self, course: Course, seed: u64) -> String {
        let mutant = self.mutant;
        let mutant = mutant.map_or_else(String::new, |rule| format!(" --mutant {}", rule.name()));
        let Beyond { rewinds, repeats } = self.beyond;
        let beyond = [(rewinds, " --rewinds"), (repeats, " --repeats")];
        let beyond = beyond.map(|(is_on, word)| if is_on { word } else { "" });
        format!(
            "cargo xtask sim --seed {seed} --setup {} --store {}{}{mutant}",
            course.name,
            course.store().as_str(),
            beyond.concat()
        )
    }
}
