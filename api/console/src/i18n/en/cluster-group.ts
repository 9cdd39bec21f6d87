import { number } from "../../format";
import { plural } from "../plural";

const clusterGroup = {
  title: (group: string) => `Group ${group}`,
  lead: "One replicated log, which keeps messages of several queues.",
  metaLead: "The replicated log of the catalogue: topics, consumer groups, users, and where everything is.",
  missing: (group: string) => `There is no group ${group}.`,
  toCluster: "All groups",
  figures: "The group now",
  noLeaderHint: "it takes no messages until one is elected",
  noMajority: "no majority",
  noMajorityHint: "without a majority: nothing is committed",
  voters: "Voters that run",
  needed: (n: number) => `${number(n)} needed`,
  chosen: "on chosen nodes",
  picture: "Replication",
  pictureLead: "Who leads and who follows, and how far each log is, as of this moment.",
  inTerm: (term: string) => `Term ${term}`,
  ledBy: (node: string) => `${node} leads`,
  replicaIs: (node: string, role: string, behind: number) => `${node}: ${role}, ${plural(behind, "entry", "entries")} behind`,
  committedAt: (index: string) => `committed: ${index}`,
  log: (node: string, last: number, durable: number, applied: number) =>
    `${node}: last ${number(last)}, on disk ${number(durable)}, applied ${number(applied)}`,
  noLog: (node: string) => `${node}: not known`,
  legend: { last: "in the log", durable: "on disk", applied: "applied", committed: "committed" },
  history: "What happened",
  historyLead: "Since this page was opened, the newest first. Leave it open to watch an election.",
  happened: {
    leads: (term: number, node: string) => `term ${number(term)}: ${node} leads`,
    leadsNow: (term: number, node: string, before: string, beforeTerm: number) =>
      `term ${number(term)}: ${node} leads; ${before} led term ${number(beforeTerm)}`,
    leadsOn: (term: number, node: string, beforeTerm: number) =>
      `term ${number(term)}: ${node} leads again; it led term ${number(beforeTerm)}`,
    leadsStill: (term: number, node: string) => `term ${number(term)}: ${node} leads again: a majority hears it`,
    leaderless: (term: number, before: string, beforeTerm: number) =>
      `term ${number(term)}: nobody leads; ${before} led term ${number(beforeTerm)}`,
    nobody: (term: number) => `term ${number(term)}: nobody leads`,
    election: (term: number) => `term ${number(term)}: an election is held`,
    back: (node: string, role: string) => `${node} is back: ${role}`,
    became: {
      leader: (node: string, term: number) => `${node} leads term ${number(term)}`,
      follower: (node: string, term: number) => `${node} follows in term ${number(term)}`,
      candidate: (node: string, term: number) => `${node} stands for election in term ${number(term)}`,
      learner: (node: string, _term: number) => `${node} is a learner now: it has no vote`,
      rejoining: (node: string, _term: number) => `${node} is being rebuilt, and does not vote yet`,
      unheard: (node: string, term: number) => `${node} would lead term ${number(term)}, and no majority hears it`,
      down: (node: string, _term: number) => `${node} does not answer`,
      silent: (node: string, _term: number) => `${node} says nothing of its replica`,
    },
    voters: (nodes: string) => `voters are now ${nodes}`,
    lost: "too few voters run: nothing is committed",
    found: "enough voters run again",
    gap: (span: string) => `this page heard nothing for ${span}`,
  },
};

export default clusterGroup;
