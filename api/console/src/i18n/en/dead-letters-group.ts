const deadLettersGroup = {
  title: "Dead letters",
};

export default deadLettersGroup;
