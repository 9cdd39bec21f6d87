const deadLetters = {
  title: "Dead letters",
  lead: "Messages that a consumer group got too often without acknowledging them. They outlive their group.",
  reload: "Load again",
  groups: "Consumer groups",
  group: "Consumer group",
  count: "Kept",
  consumer: "Group",
  toGroup: "Open the consumer group",
  countHint: "Kept are also those that were sent again, until retention removes them.",
  countFailed: "not known",
  counting: "Counting",
  show: "Which groups",
  onlySome: "With dead letters",
  all: "All groups",
  none: "There are no dead letters.",
  noneHint: "None of the consumer groups that you may list has any.",
};

export default deadLetters;
