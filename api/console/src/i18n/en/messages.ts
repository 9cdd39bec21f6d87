const messages = {
  title: "Messages",
};

export default messages;
